//! Text in any encoding is read as it was written, or the import fails before its first row and says how to name the
//! encoding.

use std::process::{Command, Output, Stdio};

use encoding_rs::Encoding;
use penstock_client::Import;
use penstock_model::{ImportOptions, Status, limits};
use serde_json::Value;

use crate::support::Stack;

/// Runs the command over a file of these bytes.
fn run(command: &str, file: &[u8], arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("shop.csv");
    std::fs::write(&path, file).expect("a file");
    let mut process = Command::new(env!("CARGO_BIN_EXE_penstock"));
    process.arg(command).arg(&path).args(arguments).stdin(Stdio::null());
    process.env_remove("PENSTOCK_URL").env_remove("PENSTOCK_TOKEN").output().expect("the command runs")
}

fn check(file: &[u8], arguments: &[&str]) -> Value {
    let output = run("check", file, &[&["--json"], arguments].concat());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

async fn import(stack: &Stack, file: &[u8], encoding: Option<&str>) -> Import {
    let options = ImportOptions { encoding: encoding.map(str::to_owned), ..ImportOptions::default() };
    stack.import_with(file, options).await
}

/// A file as a shop exports it, with keys of its own: the names are in its language, all else of it is ASCII, and far
/// more.
fn shop(key: &str, names: &[&str]) -> String {
    let row = |(at, name): (usize, &&str)| {
        format!(
            "{key}-{at};{name};Acme;https://cdn.shop.example/assets/{at}/main-photo-large.jpg <p><b>Order now</b></p>\r\n"
        )
    };
    format!("sku;name;brand;description\r\n{}", names.iter().enumerate().map(row).collect::<String>())
}

fn encoded(encoding: &str, text: &str) -> Vec<u8> {
    match encoding {
        "UTF-16LE" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        "UTF-16BE" => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        other => {
            let (bytes, _, replaced) = Encoding::for_label(other.as_bytes()).expect("a label").encode(text);
            assert!(!replaced, "{other}: {text}");
            bytes.into_owned()
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn text_is_read_in_its_own_encoding_beside_urls_and_markup() {
    let stack = Stack::start().await;
    let files = [
        ("windows-1252", ["Kühlschränke", "Türstopper weiß", "Rührschüssel"]),
        ("windows-1252", ["Ø 20 mm", "50 µm", "crème brûlée"]),
        ("windows-1250", ["Łóżko dziecięce", "Świecznik szklany", "Ścierka do kurzu"]),
        ("windows-1251", ["Торшер напольный", "Чайный сервиз", "Щипцы для угля"]),
        ("windows-1253", ["Σκούπα ηλεκτρική", "Ψαλίδι κήπου", "Βαλίτσα ταξιδιού"]),
        ("windows-1254", ["Çamaşır ipliği", "Işıklı masa saati", "Gümüş kaşık"]),
        ("Shift_JIS", ["卓上ランプ", "北欧の照明", "折りたたみ傘"]),
        ("GBK", ["不锈钢保温杯", "户外折叠椅", "厨房置物架"]),
        ("EUC-KR", ["천장 조명", "스테인리스 냄비", "어린이 자전거"]),
        ("UTF-16LE", ["Müller", "Łóżko", "照明"]),
        ("UTF-16BE", ["Müller", "Łóżko", "照明"]),
    ];
    for (key, (encoding, names)) in files.into_iter().enumerate() {
        let file = encoded(encoding, &shop(&key.to_string(), &names));
        let import = import(&stack, &file, None).await;
        assert_eq!((import.status, import.rows.created), (Status::Completed, 3), "{encoding} {:?}", import.failure);
        let detected = import.detected.expect("what it is");
        assert_eq!(detected.encoding, encoding);
        assert_eq!(detected.notes, [format!("its text is not UTF-8 and is read as {encoding}")]);
        for (at, name) in names.iter().enumerate() {
            let record = stack.client.record("products", &format!("{key}-{at}")).await.expect("answers");
            assert_eq!(record.expect("is there")["fields"]["name"], *name, "{encoding}");
        }
        let checked = check(&file, &[]);
        assert_eq!((&checked["status"], &checked["detected"]["encoding"]), (&"completed".into(), &encoding.into()));
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_read_in_two_ways_fails_before_any_row_until_it_is_said() {
    let stack = Stack::start().await;
    // One word, `dvorů` of a Czech or `dvorù` of somebody else, is not enough to tell.
    let file = b"sku,name,brand\nA-1,Lamp,Acme\nA-2,dvor\xf9\x1b[2J,Acme\n";
    let failed = import(&stack, file, None).await;
    assert_eq!((failed.status, failed.rows.processed), (Status::Failed, 0));
    let failure = failed.failure.expect("a reason");
    assert_eq!(failure.code, "ambiguous_encoding");
    for part in [
        "line 3 reads ",
        "\"A-2,dvorů\\u{1b}[2J,Acme\" in windows-1250",
        "\"A-2,dvorù\\u{1b}[2J,Acme\" in windows-1252",
        "the option `encoding` = \"windows-125",
    ] {
        assert!(failure.message.contains(part), "{part}: {}", failure.message);
    }
    assert!(stack.client.record("products", "A-1").await.expect("answers").is_none(), "a row of it was stored");
    let checked = check(file, &[]);
    assert_eq!((&checked["status"], &checked["rows"]["total"]), (&"failed".into(), &0.into()));
    assert_eq!(checked["failure"]["message"], failure.message);
    // What is said goes before what it looks like, and is no news to who said it.
    let said = import(&stack, file, Some("windows-1250")).await;
    assert_eq!((said.status, said.rows.created), (Status::Completed, 2));
    assert!(said.detected.expect("what it is").notes.is_empty());
    assert_eq!(check(file, &["--encoding", "windows-1250"])["status"], "completed");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_bytes_beyond_what_is_looked_at_reject_their_rows() {
    let stack = Stack::start().await;
    let ascii: String = (0..600).map(|row| format!("A-{row},Lamp,Acme,{}\n", "steel bolt ".repeat(180))).collect();
    assert!(ascii.len() > limits::DETECT_BYTES);
    let file =
        [b"sku,name,brand,description\n", ascii.as_bytes(), b"B-1,M\xf6belf\xfc\xdfe,Acme,\nB-2,Lamp,Acme,\n"].concat();
    let import = import(&stack, &file, None).await;
    assert_eq!((import.status, import.rows.created, import.rows.failed), (Status::CompletedWithErrors, 601, 1));
    let detected = import.detected.as_ref().expect("what it is");
    assert_eq!((detected.encoding.as_str(), detected.notes.len()), ("UTF-8", 0));
    let errors = stack.errors(&import.id).await;
    assert_eq!(errors.len(), 1);
    assert_eq!(
        (errors[0].row, errors[0].code.as_str(), errors[0].field.as_deref()),
        (601, "invalid_utf8", Some("name"))
    );
    let message = &errors[0].message;
    assert!(message.contains("byte 2 of the cell is not UTF-8: it reads \"Möbelfüße\" in windows-1252"), "{message}");
    assert!(message.contains("`encoding`"), "{message}");
    assert_eq!(check(&file, &[])["error_codes"]["invalid_utf8"], 1);
    stack.stop().await;
}

#[test]
fn the_command_says_how_a_file_was_read() {
    let file = encoded("windows-1251", &shop("R", &["Торшер напольный", "Чайный сервиз", "Щипцы для угля"]));
    for command in ["import", "check"] {
        let output = run(command, &file, &[]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(text.contains("note: its text is not UTF-8 and is read as windows-1251\n"), "{command}: {text}");
    }
}

#[test]
fn letters_that_stand_alone_fail_the_file_until_its_encoding_is_said() {
    // Each is valid Windows-1252, or UTF-8.
    for (encoding, name) in
        [("windows-1250", "Lamp č. 5"), ("windows-1250", "ł"), ("windows-1251", "Lamp с USB"), ("GBK", "小")]
    {
        let file = encoded(encoding, &shop("L", &[name; 200]));
        let checked = check(&file, &[]);
        assert_eq!((&checked["status"], &checked["rows"]["total"]), (&"failed".into(), &0.into()), "{name}");
        assert_eq!(checked["failure"]["code"], "ambiguous_encoding", "{name}");
        assert_eq!(check(&file, &["--encoding", encoding])["status"], "completed", "{name}");
    }
    for name in ["Ø 20", "50 m²", "20 °C", "£5", "Plateau à fromage", "ö"] {
        let file = encoded("windows-1252", &shop("L", &[name]));
        assert_eq!(check(&file, &[])["detected"]["encoding"], "windows-1252", "{name}");
    }
}
