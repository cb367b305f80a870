//! What the command prints and asks. Text from files and services goes to a terminal too, so whatever could move its
//! cursor, change its colours or turn its writing around is shown, not sent.

use std::{
    borrow::Cow,
    fmt::{Arguments, Write as _},
    fs::File,
    io::{self, IsTerminal, Write},
    os::{fd::AsFd, unix::fs::FileTypeExt},
    sync::OnceLock,
};

use serde::Serialize;
use tokio::{io::Interest, net::unix::pipe};

/// Writes a line to standard output, its control characters shown. Whoever reads it may have read enough and gone, as
/// `head` does: that is no error.
///
/// # Errors
/// Standard output cannot be written to.
pub(crate) fn say(line: Arguments<'_>) -> anyhow::Result<()> {
    write_out(&format!("{}\n", shown(&line.to_string())))
}

/// The streams that are files which are read: nothing is written to them.
#[derive(Debug, Clone, Copy)]
struct Spared {
    output: bool,
    error: bool,
}

static SPARED: OnceLock<Spared> = OnceLock::new();

/// Has nothing more written to standard output, or to standard error, since it is a file that is read. What is noted
/// goes to standard output where standard error alone is spared.
pub(crate) fn spare(output: bool, error: bool) {
    let _ = SPARED.set(Spared { output, error });
}

fn spared() -> Spared {
    SPARED.get().copied().unwrap_or(Spared { output: false, error: false })
}

/// Writes a line to standard error, its control characters shown. A terminal that is gone is no reason to stop.
pub(crate) fn note(line: Arguments<'_>) {
    let line = shown(&line.to_string()).into_owned();
    let _ = match spared() {
        Spared { error: false, .. } => writeln!(io::stderr(), "{line}"),
        Spared { output: false, .. } => writeln!(io::stdout(), "{line}"),
        _ => Ok(()),
    };
}

/// Writes a value to standard output as JSON on several lines.
///
/// # Errors
/// Standard output cannot be written to.
pub(crate) fn say_json(value: &impl Serialize) -> anyhow::Result<()> {
    write_out(&json_text(value)?)
}

/// A value as JSON on several lines, each ended.
///
/// # Errors
/// The value is none that JSON has.
pub(crate) fn json_text(value: &impl Serialize) -> serde_json::Result<String> {
    Ok(format!("{}\n", indented(&json_line(value)?)))
}

/// JSON on several lines, whatever its lines were: what a service wrote as it is, such as a number with more digits
/// than a float has, is laid out like the rest.
fn indented(json: &str) -> String {
    let (mut text, mut depth, mut in_string, mut escaped) =
        (String::with_capacity(json.len() * 2), 0_usize, false, false);
    let mut rest = json.chars().peekable();
    while let Some(c) = rest.next() {
        if in_string {
            text.push(c);
            in_string = c != '"' || escaped;
            escaped = c == '\\' && !escaped;
            continue;
        }
        let line = |text: &mut String, depth: usize| {
            text.push('\n');
            text.push_str(&"  ".repeat(depth));
        };
        match c {
            ' ' | '\t' | '\n' | '\r' => {}
            '[' | '{' => {
                text.push(c);
                while rest.next_if(|c| c.is_ascii_whitespace()).is_some() {}
                match rest.next_if(|c| matches!(c, ']' | '}')) {
                    Some(end) => text.push(end),
                    None => {
                        depth += 1;
                        line(&mut text, depth);
                    }
                }
            }
            ']' | '}' => {
                depth = depth.saturating_sub(1);
                line(&mut text, depth);
                text.push(c);
            }
            ',' => {
                text.push(c);
                line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            _ => {
                in_string = c == '"';
                text.push(c);
            }
        }
    }
    text
}

/// Writes a value to standard output as JSON on one line.
///
/// # Errors
/// Standard output cannot be written to.
pub(crate) fn say_json_line(value: &impl Serialize) -> anyhow::Result<()> {
    write_out(&format!("{}\n", json_line(value)?))
}

/// A value as JSON on one line.
///
/// # Errors
/// The value is none that JSON has.
pub(crate) fn json_line(value: &impl Serialize) -> serde_json::Result<String> {
    Ok(shown_in_json(serde_json::to_string(value)?))
}

fn write_out(text: &str) -> anyhow::Result<()> {
    if spared().output {
        return Ok(());
    }
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Resolves when whoever reads standard output, a pipe, is gone, as `head` is when it has seen enough; of what is no
/// pipe never.
pub(crate) async fn reader_gone() {
    let gone = async || -> io::Result<bool> {
        let out = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        if !out.metadata()?.file_type().is_fifo() {
            return Ok(false);
        }
        // The pipe goes on blocking whoever writes to it: nothing is written here.
        let pipe = pipe::Sender::from_owned_fd_unchecked(out.into())?;
        pipe.ready(Interest::ERROR).await?;
        Ok(true)
    };
    if !gone().await.unwrap_or(false) {
        std::future::pending::<()>().await;
    }
}

/// Data for standard output: as it is, or for a person's terminal line by line, its control characters shown.
pub(crate) struct Data {
    /// The line that has not ended, for a person.
    line: Option<Vec<u8>>,
    is_read: bool,
}

impl Data {
    pub(crate) fn new() -> Self {
        Self { line: is_read_by_a_person().then(Vec::new), is_read: !spared().output }
    }

    /// Writes more of it.
    ///
    /// # Errors
    /// Standard output cannot be written to.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let Some(line) = &mut self.line else {
            if self.is_read {
                match io::stdout().write_all(bytes) {
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.is_read = false,
                    written => written?,
                }
            }
            return Ok(());
        };
        line.extend(bytes);
        while let Some(end) = line.iter().position(|byte| *byte == b'\n') {
            let rest = line.split_off(end + 1);
            let whole = std::mem::replace(line, rest);
            say(format_args!("{}", String::from_utf8_lossy(&whole[..end])))?;
        }
        Ok(())
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// Standard output cannot be written to.
    pub(crate) fn end(self) -> anyhow::Result<()> {
        io::stdout().flush().or_else(
            |error| {
                if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
            },
        )?;
        match self.line {
            Some(line) if !line.is_empty() => say(format_args!("{}", String::from_utf8_lossy(&line))),
            _ => Ok(()),
        }
    }
}

/// Whether standard output is read by a person.
pub(crate) fn is_read_by_a_person() -> bool {
    io::stdout().is_terminal()
}

/// Whether there is a person to ask.
pub(crate) fn has_a_person() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks a person a question to which anything but yes is no.
///
/// # Errors
/// The terminal cannot be read.
pub(crate) fn agrees(question: &str) -> anyhow::Result<bool> {
    let answer = ask(&format!("{question} [y/N] "))?;
    Ok(matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Asks a person for a line.
///
/// # Errors
/// The terminal cannot be read.
pub(crate) fn ask(prompt: &str) -> anyhow::Result<String> {
    let mut error = io::stderr();
    write!(error, "{}", shown(prompt))?;
    error.flush()?;
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

/// Asks a person for a line that is not shown while it is typed.
///
/// # Errors
/// The terminal cannot be read.
pub(crate) fn ask_secret(prompt: &str) -> anyhow::Result<String> {
    let terminal = console::Term::stderr();
    terminal.write_str(&shown(prompt))?;
    Ok(terminal.read_secure_line()?.trim().to_owned())
}

/// Whether a character says something to a terminal instead of being shown: controls (C0, DEL, C1), ends of lines and
/// paragraphs, and what turns the direction of writing (Unicode Standard Annex #9 §2).
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text whose hidden characters are written out, `\u{1b}` for ESC.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return text.into();
    }
    text.chars()
        .fold(String::with_capacity(text.len() + 16), |mut shown, c| {
            if is_hidden(c) {
                shown.extend(c.escape_default());
            } else {
                shown.push(c);
            }
            shown
        })
        .into()
}

/// JSON whose hidden characters are written out: it means the same. Those below U+0020 stand outside of strings alone,
/// as line breaks.
fn shown_in_json(json: String) -> String {
    let is_hidden = |c: char| c >= '\u{7f}' && is_hidden(c);
    if !json.contains(is_hidden) {
        return json;
    }
    json.chars().fold(String::with_capacity(json.len() + 16), |mut shown, c| {
        if is_hidden(c) {
            write!(shown, "\\u{:04x}", u32::from(c)).expect("writing to memory succeeds");
        } else {
            shown.push(c);
        }
        shown
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hidden_reaches_the_terminal() {
        assert_eq!(shown("Müller & Söhne, 東京 \u{1f600}"), "Müller & Söhne, 東京 \u{1f600}");
        assert_eq!(shown("a\u{1b}[2Jb\tc\nd\re"), "a\\u{1b}[2Jb\\tc\\nd\\re");
        assert_eq!(shown("\u{7f}\u{9b}31m\u{202e}gpj"), "\\u{7f}\\u{9b}31m\\u{202e}gpj");
    }

    #[test]
    fn json_says_the_same_without_what_is_hidden() {
        let value = serde_json::json!({ "a": "\u{1b}[2J\u{9b}31m\u{7f}\u{202e}é\n" });
        for json in [json_line(&value).expect("JSON"), json_text(&value).expect("JSON")] {
            assert!(!json.contains(|c| c != '\n' && is_hidden(c)), "{json:?}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&json).expect("JSON"), value);
        }
    }

    #[test]
    fn json_is_laid_out_and_keeps_every_digit() {
        let value = serde_json::json!({ "a": [], "b": {}, "c": [1, { "d": "x,{\"\\" }], "e": null });
        let plain = serde_json::to_string_pretty(&value).expect("JSON");
        assert_eq!(json_text(&value).expect("JSON"), format!("{plain}\n"));
        for digits in ["12345678901234567890123456789012345678", "0.12345678901234567890"] {
            let raw = format!("{{ \"n\" :[ {digits} ],\r\n\"m\":{{ }}}}");
            let raw: Box<serde_json::value::RawValue> = serde_json::from_str(&raw).expect("JSON");
            let wanted = format!("{{\n  \"n\": [\n    {digits}\n  ],\n  \"m\": {{}}\n}}\n");
            assert_eq!(json_text(&raw).expect("JSON"), wanted);
        }
    }
}
