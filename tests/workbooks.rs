//! Workbooks that are small and unpack to far more: what they take in memory is what the limits say, whatever they are
//! made of.
//!
//! One test, so that nothing else in the process takes memory meanwhile.

use std::{
    io::{Cursor, Write},
    path::Path,
    process::{Command, Stdio},
};

use penstock_model::{ImportOptions, limits};
use serde_json::Value;
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::support::Stack;

const MIB: u64 = 1 << 20;

const RELATIONS: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";

/// Rows of a sheet, one of them good.
const ROWS: &str = "<row><c t='str'><v>sku</v></c><c t='str'><v>name</v></c><c t='str'><v>brand</v></c></row>\
     <row><c t='str'><v>A</v></c><c t='str'><v>a</v></c><c t='str'><v>b</v></c></row>";

/// A workbook of one sheet, `Stock`. A part may be another, as a text and what is repeated in the middle of it.
struct Bomb {
    what: &'static str,
    part: &'static str,
    text: String,
    repeated: String,
    times: usize,
    /// How its check fails; not at all where what there is so much of is not looked at, or is held.
    code: Option<&'static str>,
}

impl Bomb {
    fn new(what: &'static str, part: &'static str, text: &str, repeated: &str, times: usize) -> Self {
        let (text, repeated) = (text.to_owned(), repeated.to_owned());
        Self { what, part, text, repeated, times, code: None }
    }

    fn fails(self, code: &'static str) -> Self {
        Self { code: Some(code), ..self }
    }

    /// Its bytes, made without holding what they unpack to.
    fn file(&self) -> Vec<u8> {
        let own = format!(
            "<Relationships><Relationship Type='{RELATIONS}/officeDocument' Target='xl/workbook.xml'/></Relationships>"
        );
        let sheet = format!("<Relationship Id='r1' Type='{RELATIONS}/worksheet' Target='worksheets/sheet1.xml'/>");
        let parts = [
            ("[Content_Types].xml", "<Types/>".to_owned()),
            ("_rels/.rels", own),
            ("xl/workbook.xml", "<workbook><sheet name='Stock' id='r1'/></workbook>".to_owned()),
            ("xl/_rels/workbook.xml.rels", format!("<Relationships>{sheet}</Relationships>")),
            ("xl/worksheets/sheet1.xml", format!("<worksheet><sheetData>{ROWS}</sheetData></worksheet>")),
        ];
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_level(Some(1));
        for (name, text) in parts.iter().filter(|(name, _)| *name != self.part) {
            archive.start_file(*name, options).expect("in memory");
            archive.write_all(text.as_bytes()).expect("in memory");
        }
        archive.start_file(self.part, options).expect("in memory");
        let (before, behind) = self.text.split_once("REPEATED").expect("a place for it");
        archive.write_all(before.replace("SHEET", &sheet).replace("ROWS", ROWS).as_bytes()).expect("in memory");
        let many = self.repeated.repeat((64 * 1024 / self.repeated.len()).clamp(1, self.times));
        let at_once = many.len() / self.repeated.len();
        (0..self.times / at_once).for_each(|_| archive.write_all(many.as_bytes()).expect("in memory"));
        archive.write_all(behind.replace("ROWS", ROWS).as_bytes()).expect("in memory");
        archive.finish().expect("in memory").into_inner()
    }
}

/// An archive of so many entries, all of them the same folder without a name.
fn entries(count: u32) -> Vec<u8> {
    let mut file = vec![0; 30];
    file[..4].copy_from_slice(b"PK\x03\x04");
    let mut entry = [0; 46];
    entry[..4].copy_from_slice(b"PK\x01\x02");
    (0..count).for_each(|_| file.extend(entry));
    let mut end = [0; 22];
    end[..4].copy_from_slice(b"PK\x05\x06");
    end[12..16].copy_from_slice(&(count * 46).to_le_bytes());
    end[16..20].copy_from_slice(&30u32.to_le_bytes());
    file.extend(end);
    file
}

fn bombs() -> Vec<Bomb> {
    let long = "A".repeat(1_000_000);
    let long_text = format!("<si><t>{}</t></si>", "x".repeat(1_000_000));
    let (strings, styles, book) = ("xl/sharedStrings.xml", "xl/styles.xml", "xl/workbook.xml");
    let (relations, sheet) = ("xl/_rels/workbook.xml.rels", "xl/worksheets/sheet1.xml");
    let held = limits::WORKBOOK_HELD_BYTES;
    let list = "<workbook>REPEATED<sheet name='Stock' id='r1'/></workbook>";
    let large = "workbook_too_large";
    let relation = format!("<Relationship Id='r2' Type='x/worksheet' Target='{long}'/>");
    vec![
        Bomb::new("nothing", styles, "<s>REPEATED</s>", " ", 1),
        Bomb::new(
            "a long target",
            relations,
            &format!("<R>REPEATED<Relationship Id='r1' Type='x/worksheet' Target='{long}'/></R>"),
            " ",
            1,
        )
        .fails("damaged_file"),
        Bomb::new("many long targets", relations, "<R>SHEETREPEATED</R>", &relation, 100).fails(large),
        Bomb::new("sheets of a long target", book, list, "<sheet name='S' id='r1'/>", 200_000),
        Bomb::new("many sheets", book, list, "<sheet name='S' id='r1'/>", 1_000_000).fails(large),
        Bomb::new("defined names", book, list, "<definedName name='a'>Stock!$A$1</definedName>", 2_000_000),
        Bomb::new(
            "fonts",
            styles,
            &format!("<s><fonts><font><name val='{long}'/></font></fonts><cellXfs>REPEATED</cellXfs></s>"),
            "<xf fontId='0'/>",
            4_000_000,
        ),
        Bomb::new("styles", styles, "<s><cellXfs>REPEATED</cellXfs></s>", "<xf/>", held / 5 + 70_000).fails(large),
        Bomb::new(
            "number formats",
            styles,
            "<s><numFmts>REPEATED</numFmts></s>",
            "<numFmt numFmtId='1' formatCode='0'/>",
            1_000_000,
        )
        .fails(large),
        Bomb::new(
            "long formats",
            styles,
            "<s><numFmts>REPEATED</numFmts></s>",
            &format!("<numFmt numFmtId='1' formatCode='{long}'/>"),
            200,
        ),
        Bomb::new("empty texts", strings, "<sst uniqueCount='99999999999'>REPEATED</sst>", "<si/>", 16_000_000),
        Bomb::new("more empty texts", strings, "<sst>REPEATED</sst>", "<si/>", held / 4 + 70_000).fails(large),
        Bomb::new("long texts", strings, "<sst>REPEATED</sst>", &long_text, 67),
        Bomb::new("more long texts", strings, "<sst>REPEATED</sst>", &long_text, 68).fails(large),
        Bomb::new("a text of many runs", strings, "<sst><si>REPEATED</si></sst>", "<r><t>xxxxxxxx</t></r>", 3_000_000)
            .fails(large),
        Bomb::new("a text", strings, "<sst><si><t>REPEATED</t></si></sst>", "x", 80_000_000).fails(large),
        Bomb::new("an attribute", sheet, "<w a='REPEATED'><sheetData>ROWS</sheetData></w>", "x", 80_000_000)
            .fails(large),
        Bomb::new("a comment", sheet, "<w><!--REPEATED--><sheetData>ROWS</sheetData></w>", "x", 80_000_000),
        Bomb::new("elements inside one another", sheet, "<w>REPEATED", "<a>", 20_000_000).fails("damaged_file"),
        Bomb::new(
            "formulas",
            sheet,
            "<w><sheetData>ROWS<row><c><v>1</v>REPEATED</c></row></sheetData></w>",
            "<f t='shared' si='7'>A1</f>",
            2_000_000,
        ),
    ]
}

/// The most memory that a check may hold, in bytes: what is held of a workbook, and what the program takes for
/// anything.
const MOST: u64 = limits::WORKBOOK_HELD_BYTES as u64 + 48 * MIB;

/// Runs a command, and prints the most memory in KiB that it held, as the system counts it for an ended child. More
/// than the first argument says, in bytes, it does not get.
const MEASURED: &str = "
import resource, subprocess, sys
resource.setrlimit(resource.RLIMIT_DATA, (int(sys.argv[1]), int(sys.argv[1])))
ended = subprocess.run(sys.argv[2:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(ended.returncode)
";

/// What `penstock check` says of a file, and the most memory, in bytes, that it held.
///
/// The system lets it have twice as much as it may hold: some is reserved and never touched.
fn checked(folder: &Path, file: &[u8]) -> (Value, u64) {
    let path = folder.join("bomb.xlsx");
    std::fs::write(&path, file).expect("written");
    let output = Command::new("python3")
        .args(["-c", MEASURED, &(2 * MOST).to_string(), env!("CARGO_BIN_EXE_penstock")])
        .args(["check", "--json", "--threads", "1"])
        .arg(&path)
        .env_remove("PENSTOCK_URL")
        .env_remove("PENSTOCK_TOKEN")
        .stdin(Stdio::null())
        .output()
        .expect("the command runs");
    let said = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let printed = String::from_utf8_lossy(&output.stderr);
    let peak = printed.lines().last().and_then(|line| line.trim().parse::<u64>().ok());
    (said, peak.unwrap_or_else(|| panic!("{output:?}")) * 1024)
}

/// The most memory, in bytes, that a process has held, while it is there.
fn peak_of(process: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[test]
fn a_workbooks_memory_is_bounded_whatever_it_is_made_of() {
    if Command::new("python3").arg("-V").output().is_err() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "python3 is not installed, and CI leaves nothing out");
        println!("python3 is not installed: the memory of a check is not measured");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut seen = 0;
    for bomb in bombs() {
        let file = bomb.file();
        assert!(file.len() < 2_000_000, "{}: {} bytes", bomb.what, file.len());
        let (said, peak) = checked(folder.path(), &file);
        println!("{:32} {:>8} bytes, {:>3} MiB: {}", bomb.what, file.len(), peak / MIB, said["failure"]["message"]);
        assert!(peak <= MOST, "{}: {peak} bytes, {MOST} at most", bomb.what);
        seen = seen.max(peak);
        assert_eq!(said["failure"]["code"].as_str(), bomb.code, "{}: {said}", bomb.what);
        if bomb.code == Some("workbook_too_large") {
            let message = said["failure"]["message"].as_str().expect("a sentence");
            assert!(message.contains(bomb.part), "{}: {message}", bomb.what);
        } else if bomb.code.is_none() {
            assert_eq!(said["rows"]["accepted"], 1, "{}: {said}", bomb.what);
        }
    }
    let fitting = (limits::ARCHIVE_DIRECTORY_BYTES / 46) as u32;
    for (count, code) in [(fitting, "not_one_file"), (fitting + 1, "archive_too_large")] {
        let (said, peak) = checked(folder.path(), &entries(count));
        assert_eq!(said["failure"]["code"], code, "{said}");
        assert!(peak <= MOST, "{count} entries: {peak} bytes, {MOST} at most");
    }
    assert!(seen > limits::WORKBOOK_HELD_BYTES as u64 / 2, "{seen} bytes: what they held was not seen");
    previews_at_once();
}

/// Eight previews, each of a workbook that holds as much as it may.
fn previews_at_once() {
    const PREVIEWS: u64 = 8;
    let bombs = bombs();
    let bomb = bombs.iter().find(|bomb| bomb.what == "long texts").expect("one of them").file();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let stack = Stack::start().await;
        let created = stack.create(ImportOptions::default()).await;
        let small = bombs[0].file();
        assert_eq!(stack.client.preview(&created.id, small, true).await.expect("a preview")["rows"][0]["row"], 1);
        let own_peak = || peak_of("self").expect("it is told");
        let before = own_peak();
        let previews = (0..PREVIEWS).map(|_| stack.client.preview(&created.id, bomb.clone(), true));
        for preview in futures::future::join_all(previews).await {
            let preview = preview.expect("a preview");
            assert_eq!(preview["rows"][0]["fields"]["sku"], "A", "{preview}");
        }
        let grown = own_peak() - before;
        let most = PREVIEWS * (limits::WORKBOOK_HELD_BYTES as u64 + 8 * MIB);
        println!("{PREVIEWS} previews at once: {} MiB more", grown / MIB);
        assert!(grown <= most, "{grown} bytes, {most} at most");
        stack.stop().await;
    });
}
