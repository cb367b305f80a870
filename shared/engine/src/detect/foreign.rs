//! Files that are no tables: told by their content, and said to be what they are.

use penstock_model::{Failure, advice::shown};

use crate::archive::Archive;
use crate::upload::Upload;

/// Bytes of a file, or of what it unpacks to, from which its signature is told. The one of a tar archive is the last,
/// at 257.
pub(super) const SIGNATURE_BYTES: usize = 512;

/// Characters of a text in which the signs of what it is are looked for.
const SIGN_CHARS: usize = 4096;

/// What is to be done with a file that holds no table, or holds it in a form that is not read.
const EXPORT: &str = "export its table as XLSX or CSV";
const SAVE: &str = "save it as XLSX or CSV";
const UNPACK: &str = "unpack it, and upload the file in it";

/// The failure of a file that is something else, and what is to be done with it.
pub(super) fn failure(what: &str, remedy: &str) -> Failure {
    Failure::new("unsupported_format", format!("the file is {what}; {remedy}"))
}

/// That a file is a workbook in a form that is not read.
pub(super) fn unsupported(what: &str) -> Failure {
    failure(what, SAVE)
}

/// What a file is that starts with these bytes, if it is no text and nothing that is read.
pub(super) fn by_signature(start: &[u8]) -> Option<Failure> {
    let is_riff = |of: &[u8]| start.starts_with(b"RIFF") && start.get(8..12) == Some(of);
    let has_brand = || start.first() == Some(&0) && start.get(4..8) == Some(b"ftyp");
    let is_tar = || start.get(257..262) == Some(b"ustar") && start[..257].contains(&0);
    let (what, remedy) = match start {
        [b'%', b'P', b'D', b'F', b'-', ..] => ("a PDF document", EXPORT),
        [b'{', b'\\', b'r', b't', b'f', ..] => ("an RTF document", EXPORT),
        [0x89, b'P', b'N', b'G', ..] => ("an image (PNG)", EXPORT),
        [0xff, 0xd8, 0xff, ..] => ("an image (JPEG)", EXPORT),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => ("an image (GIF)", EXPORT),
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => ("an image (TIFF)", EXPORT),
        [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => ("an image (BMP)", EXPORT),
        _ if is_riff(b"WEBP") => ("an image (WebP)", EXPORT),
        _ if has_brand() => ("an image or a film (HEIF, MP4)", EXPORT),
        [b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c, ..] => ("a 7z archive", UNPACK),
        [b'R', b'a', b'r', b'!', 0x1a, 7, ..] => ("a RAR archive", UNPACK),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => ("compressed by xz", "unpack it, or compress it by gzip or Zstandard"),
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, ..] => {
            ("compressed by bzip2", "unpack it, or compress it by gzip or Zstandard")
        }
        [b'S', b'Q', b'L', b'i', b't', b'e', b' ', b'f', ..] => ("an SQLite database", EXPORT),
        [b'P', b'A', b'R', b'1', 0x15, ..] => ("a Parquet file", "export it as CSV or NDJSON"),
        [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] => return None,
        _ if is_tar() => ("a tar archive", UNPACK),
        _ => return None,
    };
    Some(failure(what, remedy))
}

/// What a compressed file holds, if that starts as another archive, or as what is compressed.
pub(super) fn by_signature_of_packed(start: &[u8]) -> Option<Failure> {
    match start {
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => {
            Some(failure("a workbook or an archive inside another one", UNPACK))
        }
        [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(failure("compressed twice", "compress it once")),
        [0xd0, 0xcf, 0x11, 0xe0, ..] => Some(failure("an old Office document that is compressed", SAVE)),
        start => by_signature(start),
    }
}

/// What an archive is whose directory has been read, if it is a document that is not read.
pub(super) fn by_entries<U: Upload>(archive: &Archive<U>) -> Option<Failure> {
    let has = |is_it: &dyn Fn(&str) -> bool| archive.entries().iter().any(|entry| is_it(&entry.name));
    let is_there = |wanted: &str| has(&|name| name == wanted);
    let is_in = |folder: &str| has(&|name| name.starts_with(folder));
    if is_there("xl/workbook.bin") {
        return Some(unsupported("a binary Excel workbook (XLSB)"));
    }
    if is_there("mimetype") && is_there("content.xml") {
        return Some(unsupported("an OpenDocument file"));
    }
    if is_there("mimetype") && is_there("META-INF/container.xml") {
        return Some(failure("an e-book (EPUB)", EXPORT));
    }
    if is_there("Index/Document.iwa") || is_there("Index.zip") {
        return Some(unsupported("a document of Apple Numbers, Pages or Keynote"));
    }
    if is_there("[Content_Types].xml") && !is_in("xl/") {
        for (folder, what) in [("word/", "a Word document"), ("ppt/", "a PowerPoint presentation")] {
            if is_in(folder) {
                return Some(failure(what, EXPORT));
            }
        }
    }
    None
}

/// What a text is, if it is markup or a message and no table.
pub(super) fn by_text(text: &str) -> Option<Failure> {
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    match text.as_bytes().first()? {
        b'<' => markup(text),
        b'%' | b'{' => by_signature(text.as_bytes()),
        _ => message(text),
    }
}

/// What a text is that starts with `<`: a header may (`<TICKER>,<DATE>`), so what is no HTML has to say that it is XML,
/// or to close what it opens.
fn markup(text: &str) -> Option<Failure> {
    let html = || Some(failure("HTML, a web page", "open it in a spreadsheet, and save it as XLSX or CSV"));
    let start: String = text.chars().take(SIGN_CHARS).collect();
    let mut rest = start.as_str();
    let mut is_declared = false;
    loop {
        rest = rest.trim_start();
        if let Some(behind) = rest.strip_prefix("<?") {
            is_declared |= behind.get(..4).is_some_and(|name| name.starts_with("xml"));
            if behind.contains("progid=\"Excel.Sheet\"") {
                return Some(unsupported("an XML spreadsheet of Excel 2003"));
            }
            rest = behind.split_once("?>").map_or("", |(_, behind)| behind);
        } else if let Some(behind) = rest.strip_prefix("<!--") {
            rest = behind.split_once("-->").map_or("", |(_, behind)| behind);
        } else if let Some(behind) = rest.strip_prefix("<!") {
            if behind.get(..12).is_some_and(|name| name.eq_ignore_ascii_case("doctype html")) {
                return html();
            }
            is_declared = true;
            rest = behind.split_once('>').map_or("", |(_, behind)| behind);
        } else {
            break;
        }
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '-' | '.');
    let name: String = rest.strip_prefix('<').unwrap_or_default().chars().take_while(|c| is_name(*c)).collect();
    let behind = rest.get(1 + name.len()..).and_then(|behind| behind.chars().next());
    let is_tag = !name.is_empty() && behind.is_some_and(|c| matches!(c, '>' | '/') || c.is_whitespace());
    const PAGES: [&str; 13] =
        ["html", "head", "body", "meta", "title", "style", "script", "link", "table", "div", "p", "center", "form"];
    let closes = || text.contains(&format!("</{name}"));
    if is_tag && PAGES.iter().any(|page| name.eq_ignore_ascii_case(page)) && closes() {
        return html();
    }
    if is_declared || is_tag && closes() {
        let root = shown(&name);
        let what = if root.is_empty() { "XML".to_owned() } else { format!("XML, a document `{root}`") };
        let remedy = match name.as_str() {
            "Error" => "it may be the answer of a server that did not give the file",
            _ => SAVE,
        };
        return Some(failure(&what, remedy));
    }
    None
}

/// Whether a text is an e-mail, or a web page that was saved like one: lines of `Name: value`, and among them what an
/// e-mail has (RFC 5322 §3.6, RFC 2045 §4).
fn message(text: &str) -> Option<Failure> {
    let start: String = text.chars().take(SIGN_CHARS).collect();
    let (mut names, mut is_first) = (Vec::new(), true);
    for line in start.lines() {
        if line.is_empty() {
            break;
        }
        let is_mbox = std::mem::take(&mut is_first) && line.starts_with("From ");
        if is_mbox || !names.is_empty() && line.starts_with([' ', '\t']) {
            continue;
        }
        match line.split_once(':') {
            Some((name, _)) if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') => {
                names.push(name.to_ascii_lowercase());
            }
            // The last line may be cut.
            _ => break,
        }
    }
    let has = |name: &str| names.iter().any(|found| found == name);
    let marks =
        ["received", "return-path", "message-id", "mime-version", "delivered-to", "from", "subject", "date", "to"];
    let found = marks.into_iter().filter(|mark| has(mark)).count();
    if found >= 3 && (has("from") || has("received")) && (has("message-id") || has("mime-version") || has("subject")) {
        return Some(failure("an e-mail", "save the table that is attached to it, and upload that"));
    }
    if has("mime-version") && has("content-type") {
        return Some(unsupported("a web page that was saved as an archive (MHTML)"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Option<String> {
        by_text(text).map(|failure| failure.message)
    }

    #[test]
    fn markup_is_told_from_a_header_with_angle_brackets() {
        let html = "the file is HTML, a web page; open it in a spreadsheet, and save it as XLSX or CSV";
        for page in [
            "<html xmlns:x=\"urn:x\"><head></head></html>",
            "\u{feff}\r\n<!DOCTYPE html>\n<p>x",
            "<!-- a --> <TABLE border=1><tr></tr></TABLE>",
            "<?xml version=\"1.0\"?><!doctype HTML public \"x\"><html>",
        ] {
            assert_eq!(text(page).as_deref(), Some(html), "{page}");
        }
        let error = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>AccessDenied</Code></Error>";
        assert_eq!(
            text(error).as_deref(),
            Some("the file is XML, a document `Error`; it may be the answer of a server that did not give the file")
        );
        let feed = "<rss version=\"2.0\"><channel></channel></rss>";
        assert_eq!(text(feed).as_deref(), Some("the file is XML, a document `rss`; save it as XLSX or CSV"));
        let excel = "<?xml version=\"1.0\"?>\n<?mso-application progid=\"Excel.Sheet\"?>\n<Workbook></Workbook>";
        assert!(text(excel).expect("told").contains("an XML spreadsheet of Excel 2003"));
        for table in ["<TICKER>,<DATE>,<OPEN>\nA,20240101,1\n", "<a\n1\n", "<\n", "<p>,<q>\n1,2\n", "<\u{e9}>é"] {
            assert_eq!(text(table), None, "{table}");
        }
    }

    #[test]
    fn an_email_is_told_from_a_table_with_colons() {
        let mail =
            "Received: from a by b\n\tid 1\nFrom: a@example.com\nSubject: Prices\nMIME-Version: 1.0\n\nsku,name\n";
        assert_eq!(
            text(mail).as_deref(),
            Some("the file is an e-mail; save the table that is attached to it, and upload that")
        );
        assert!(text("From a Mon\nFrom: a\nTo: b\nSubject: c\n\n").is_some());
        assert!(text("MIME-Version: 1.0\nContent-Type: multipart/related\n\n").expect("told").contains("MHTML"));
        for table in ["From: a,To: b\n1,2\n", "from,to,subject\na,b,c\n", "a: 1\nb: 2\n", "x"] {
            assert_eq!(text(table), None, "{table}");
        }
    }

    #[test]
    fn signatures_are_told_and_text_is_left_alone() {
        let mut tar = vec![0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        let told = |bytes: &[u8]| by_signature(bytes).map(|failure| failure.message);
        for (bytes, what) in [
            (&b"%PDF-1.7\n"[..], "a PDF document; export its table as XLSX or CSV"),
            (b"\x89PNG\r\n\x1a\n", "an image (PNG); export its table as XLSX or CSV"),
            (b"\xff\xd8\xff\xe0", "an image (JPEG); export its table as XLSX or CSV"),
            (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it, and upload the file in it"),
            (b"Rar!\x1a\x07\x00", "a RAR archive; unpack it, and upload the file in it"),
            (&tar, "a tar archive; unpack it, and upload the file in it"),
        ] {
            assert_eq!(told(bytes), Some(format!("the file is {what}")));
        }
        for text in [&b"sku,name\n"[..], b"BM;x\n", b"PAR1,PAR2", b"abc,ftyp,x", b"7z,x", b"GIF8,x", b""] {
            assert_eq!(told(text), None, "{text:?}");
        }
        assert!(by_signature_of_packed(b"\x1f\x8b\x08").is_some() && by_signature_of_packed(&tar).is_some());
    }
}
