//! The tokens of a rule (CEL's specification, "Syntax", <https://github.com/google/cel-spec>), as far as they are
//! supported.

use penstock_model::Decimal;

use super::{Fault, parse::written};

/// A token, and the byte at which it starts.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) at: usize,
    pub(super) is: Is,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Is {
    Name(String),
    Text(String),
    /// A number, and whether it is written as a whole one.
    Number(Decimal, bool),
    /// An operator or a bracket.
    Mark(&'static str),
    End,
}

/// The longer ones first.
const MARKS: [&str; 22] = [
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "?", ":", "(", ")", "[", "]", ",", ".", "+", "-", "*", "%", "/",
];

/// The tokens of a text; the last one is its end.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Fault> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let is_digit = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
        let (is, length) = match first {
            ' ' | '\t' | '\n' | '\r' => {
                at += 1;
                continue;
            }
            'a'..='z' | 'A'..='Z' | '_' => {
                let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                if rest[length..].starts_with(['"', '\'']) && matches!(&rest[..length], "r" | "R" | "b" | "B") {
                    return Err(Fault::new(at, "texts of other forms than \"…\" and '…' are not supported"));
                }
                (Is::Name(rest[..length].to_owned()), length)
            }
            '"' | '\'' => literal(rest, first).map_err(|fault| fault.behind(at))?,
            _ if is_digit(rest) || first == '.' && is_digit(&rest[1..]) => {
                number(rest).map_err(|fault| fault.behind(at))?
            }
            _ => {
                let mark = MARKS.into_iter().find(|mark| rest.starts_with(mark));
                let mark = mark.ok_or_else(|| no_token(text, at, first))?;
                (Is::Mark(mark), mark.len())
            }
        };
        tokens.push(Token { at, is });
        at += length;
    }
    tokens.push(Token { at, is: Is::End });
    Ok(tokens)
}

/// What is wrong with a character that begins no token, and how it is written what may be meant.
fn no_token(text: &str, at: usize, first: char) -> Fault {
    if first.is_alphanumeric() {
        let is_part = |c: &char| c.is_alphanumeric() || *c == '_';
        let before: usize = text[..at].chars().rev().take_while(is_part).map(char::len_utf8).sum();
        let word: String = text[at - before..].chars().take_while(is_part).collect();
        let message = format!("a field whose name has other letters than a to z is written `{}`", written(&word));
        return Fault::new(at - before, message);
    }
    let hint = match first {
        '=' => ": that two values are the same is written `==`",
        '&' => ": and is written `&&`",
        '|' => ": or is written `||`",
        _ => "",
    };
    Fault::new(at, format!("`{first}` is no part of an expression{hint}"))
}

/// The text in quotes at the start of another one, and its length with them.
fn literal(rest: &str, quote: char) -> Result<(Is, usize), Fault> {
    let mut text = String::new();
    if rest.starts_with("\"\"\"") || rest.starts_with("'''") {
        return Err(Fault::new(0, "texts of other forms than \"…\" and '…' are not supported"));
    }
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, char)) = chars.next() {
        match char {
            '\n' | '\r' => break,
            char if char == quote => return Ok((Is::Text(text), at + 1)),
            '\\' => {
                let fault =
                    || Fault::new(at, r#"this escape is not supported: there are \\ \" \' \n \r \t and \u0041"#);
                text.push(match chars.next().ok_or_else(fault)?.1 {
                    escaped @ ('\\' | '"' | '\'') => escaped,
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'u' => {
                        let digits: String = chars.by_ref().take(4).map(|(_, digit)| digit).collect();
                        let is_hex = digits.len() == 4 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
                        let code = is_hex.then(|| u32::from_str_radix(&digits, 16).ok()).flatten();
                        code.and_then(char::from_u32).ok_or_else(fault)?
                    }
                    _ => return Err(fault()),
                });
            }
            char => text.push(char),
        }
    }
    Err(Fault::new(0, "the quote is never closed"))
}

/// The number at the start of a text, and its length.
fn number(rest: &str) -> Result<(Is, usize), Fault> {
    let digits = |from: usize| rest[from..].bytes().take_while(u8::is_ascii_digit).count();
    let mut end = digits(0);
    let mut is_whole = true;
    if rest[end..].starts_with('.') && digits(end + 1) > 0 {
        end += 1 + digits(end + 1);
        is_whole = false;
    }
    if rest[end..].starts_with(['e', 'E']) {
        let sign = usize::from(rest[end + 1..].starts_with(['+', '-']));
        if digits(end + 1 + sign) > 0 {
            end += 1 + sign + digits(end + 1 + sign);
            is_whole = false;
        }
    }
    if rest[end..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
        return Err(Fault::new(0, "a number is written in decimal digits, such as 19.99"));
    }
    let number = Decimal::parse(&rest[..end]).map_err(|error| Fault::new(0, format!("the number has {error}")))?;
    Ok((Is::Number(number, is_whole), end))
}
