use std::collections::BTreeMap;

use super::*;

/// Names of goods in a language, none of which is a row's only evidence, and the encodings that files in it come in.
const LANGUAGES: [(&str, &[&str], &str); 19] = [
    (
        "German",
        &["windows-1252", "macintosh"],
        "Kühlschränke|Bügelbrett faltbar|Türstopper weiß|Gefäß für Gewürze|Schlüsselkästchen|Großpackung Nägel|Bürostühle höhenverstellbar|Rührschüssel|Fußmatte grün|Lötzinn bleifrei",
    ),
    (
        "French",
        &["windows-1252", "ISO-8859-15"],
        "Théière émaillée|Brûle-parfum|Étagère métallique|Pâtisserie à garnir|Hachoir électrique|Fenêtre à soufflet|Cuillère à café|Lève-vitre arrière|Bâche de protection|Échelle coulissante",
    ),
    (
        "Spanish",
        &["windows-1252"],
        "Paño de algodón|Cañería galvanizada|Champú para niños|Destornillador estándar|Baúl de jardín|Tapón de desagüe|Muñeca de porcelana|Cerámica española|Lámpara de pie|Gabardina otoñal",
    ),
    (
        "Portuguese",
        &["windows-1252"],
        "Fogareiro de balcão|Lençóis de algodão|Colchão inflável|Aço inoxidável|Máquina de café|Pincéis para pintura|Calções de verão|Balança eletrônica|Óleo de coco|Ímãs decorativos",
    ),
    (
        "Italian",
        &["windows-1252"],
        "Novità per cucina|Caffè macinato|Più luce in casa|Unità esterna|Tè verde sfuso|Comò in legno|Qualità extra|Bidè sospeso|Lucidità e finitura|Menù di carta",
    ),
    (
        "Swedish",
        &["windows-1252"],
        "Trädgårdsmöbler grå|Köksfläkt rostfri|Brödlåda med lock|Spännband för släp|Överkast bomull|Höjdjusterbart bord|Vägghängd spegel|Dörrstängare|Vårjacka grön|Hängmatta",
    ),
    (
        "Danish",
        &["windows-1252"],
        "Køkkenmaskine rød|Gulvtæppe blå|Sæbedispenser|Trådløs ørebøffel|Lænestol læder|Håndværktøj sæt|Tørrestativ|Vægophæng|Børnetøj økologisk|Smørkande",
    ),
    (
        "Czech",
        &["windows-1250", "ISO-8859-2"],
        "Žehlicí prkno dřevěné|Čistička vzduchu|Šicí potřeby|Květináč měděný|Přímotop nástěnný|Nůžky na živý plot|Kávová lžička|Řetěz ocelový|Dětská sedačka|Světlá omítka",
    ),
    (
        "Polish",
        &["windows-1250", "ISO-8859-2"],
        "Łóżko dziecięce|Żyrandol złoty|Świecznik szklany|Ścierka do kurzu|Młotek ciesielski|Gąbka do mycia|Śrubokręt krzyżowy|Kołdra całoroczna|Źródło światła|Pędzel płaski",
    ),
    (
        "Hungarian",
        &["windows-1250"],
        "Hősugárzó fehér|Gyümölcscentrifuga|Fűnyíró olló|Bőr övtáska|Csőkulcs készlet|Sütőforma kör alakú|Kétszemélyes ágytakaró|Műanyag fűrészbak|Zöld függöny|Időkapcsoló",
    ),
    (
        "Romanian",
        &["windows-1250"],
        "Aşternut de pat|Perdea ţesută|Maşină de găurit|Foarfecă grădină|Cuţit bucătărie|Lampă de birou|Găleată plastic|Covor împletit|Faţă de masă|Încălzitor rapid",
    ),
    (
        "Turkish",
        &["windows-1254"],
        "Çamaşır ipliği|Bahçe hortumu yeşil|Işıklı masa saati|Düdüklü tencere|Ağaç testeresi|Gümüş kaşık|Yağdanlık şişesi|Kışlık çocuk montu|Üç katlı raf|Oğlak derisi çanta",
    ),
    (
        "Lithuanian",
        &["windows-1257"],
        "Vaikiškas čiužinys|Sodo žirklės|Žibintuvėlis galvai|Rankšluosčių džiovintuvas|Lėkščių rinkinys|Elektrinė viryklė|Šluotų laikiklis|Dėžutė įrankiams|Ąžuolinė spinta|Žaislų lentyna",
    ),
    (
        "Russian",
        &["windows-1251", "KOI8-U", "IBM866", "ISO-8859-5"],
        "Торшер напольный|Чайный сервиз|Щипцы для угля|Грабли садовые|Этажерка угловая|Фонарик налобный|Ящик почтовый|Бумага наждачная|Жалюзи белые|Лестница складная",
    ),
    (
        "Ukrainian",
        &["windows-1251"],
        "Світильник підвісний|Праска парова|Їдальня кутова|Склянка гранована|Ґрунтовка глибока|Візок господарський|Ліжко дитяче|Щітка для підлоги|Пилосос потужний|Шуфляда кухонна",
    ),
    (
        "Greek",
        &["windows-1253"],
        "Σκούπα ηλεκτρική|Ψαλίδι κήπου|Μαχαιροπίρουνα|Καθρέπτης μπάνιου|Βαλίτσα ταξιδιού|Ομπρέλα βροχής|Σιδερώστρα πτυσσόμενη|Χαρτί κουζίνας|Γλάστρα πήλινη|Στρώμα διπλό",
    ),
    (
        "Japanese",
        &["Shift_JIS", "EUC-JP"],
        "卓上ランプ|北欧の照明|木製の椅子|ステンレス鍋|子供用自転車|掃除機フィルター|折りたたみ傘|保温水筒|台所用スポンジ|電気毛布",
    ),
    (
        "Chinese",
        &["GBK"],
        "不锈钢保温杯|户外折叠椅|儿童自行车|厨房置物架|电动螺丝刀套装|防水登山包|无线蓝牙耳机|北欧吊灯|陶瓷花瓶|加厚床垫",
    ),
    (
        "Korean",
        &["EUC-KR"],
        "천장 조명|북쪽 창문 커튼|스테인리스 냄비|어린이 자전거|무선 청소기 필터|접이식 의자|전기 주전자|방수 등산 가방|유리 꽃병|겨울 이불",
    ),
];

/// A file as a shop exports it, of these names: all else of it is ASCII, and far more.
fn shop(names: &[&str]) -> String {
    let row = |(at, name): (usize, &&str)| {
        format!(
            "SV-{at:04};{name};Acme;19,90;https://cdn.shop.example/assets/catalog/{at:04}/main-photo-large.jpg;<p><strong>Order \
             number</strong> {at}<br>IP44</p>\r\nSX-{at:04};Lamp;Acme;1,00;https://cdn.shop.example/lamp.jpg;<p>steel bolt</p>\r\n"
        )
    };
    let rows: String = names.iter().enumerate().map(row).collect();
    format!("sku;name;brand;price;image_url;description\r\n{rows}")
}

fn encoded(encoding: &str, text: &str) -> Vec<u8> {
    let (bytes, _, replaced) = Encoding::for_label(encoding.as_bytes()).expect("a label").encode(text);
    assert!(!replaced, "{encoding} {text}");
    bytes.into_owned()
}

fn found(text: &[u8]) -> Result<&'static Encoding, Failure> {
    encoding(text, true, None)
}

/// What a text is taken for: its name, if the text is read as it was written.
fn read_as_written(bytes: &[u8], text: &str) -> Result<bool, Failure> {
    found(bytes).map(|encoding| encoding.decode_without_bom_handling(bytes) == (text.into(), false))
}

#[test]
fn a_language_is_read_in_its_encodings_or_not_at_all() {
    let mut refused: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (language, encodings, names) in LANGUAGES {
        let names: Vec<&str> = names.split('|').collect();
        for encoding in encodings {
            // Each name alone, then more and more of them.
            for count in [1, 2, 3, 5, 10] {
                for few in names.chunks_exact(count) {
                    let text = shop(few);
                    match read_as_written(&encoded(encoding, &text), &text) {
                        Ok(true) => {}
                        Ok(false) => panic!("{language} in {encoding}: {few:?} read otherwise"),
                        Err(failure) => {
                            assert_eq!(failure.code, "ambiguous_encoding");
                            refused.entry(count).or_default().push(format!("{language} in {encoding}: {few:?}"));
                        }
                    }
                }
            }
        }
    }
    let all: usize = LANGUAGES.iter().map(|(_, encodings, _)| encodings.len()).sum();
    let of = |count: usize| refused.get(&count).map_or(0, Vec::len);
    assert_eq!(of(10), 0, "{refused:#?}");
    assert!(of(5) * 20 <= all * 2, "{refused:#?}");
    assert!(of(1) * 4 <= all * 10, "{refused:#?}");
}

#[test]
fn a_few_western_letters_and_signs_are_windows_1252() {
    let few = "Ø 20 mm|ø|±5 mm|naïve|50 µm|œuvre|£5|¿|®|weiß|5 €|é|Plateau à fromage|£ 5|10³|50 cm²|jalapeño|España|café|Müller|größe|crème brûlée|20°C|½ inch|Citroën|\
               smörgåsbord|Häagen-Dazs|20 m²|5 m³|isn’t|10 × 20|nº 3|© 2024|™|3½|“quoted”|Nestlé®|18” wheel|–|Größe – neu";
    for few in few.split('|') {
        let text = shop(&[few]);
        let bytes = encoded("windows-1252", &text);
        assert!(matches!(read_as_written(&bytes, &text), Ok(true)), "{few}: {:?}", found(&bytes));
    }
}

#[test]
fn a_letter_that_stands_alone_tells_no_language() {
    for (encoding, name, other) in [
        ("windows-1250", "Lamp č. 5", "è"),
        ("windows-1250", "ł", "³"),
        ("windows-1251", "Lamp с USB", "ñ"),
        ("windows-1251", "Lamp і USB", "³"),
        ("windows-1251", "Я", "ß"),
        ("IBM866", "Salt 5 г", "£"),
    ] {
        let bytes = encoded(encoding, &shop(&[name; 200]));
        let failure = found(&bytes).expect_err(name);
        assert_eq!(failure.code, "ambiguous_encoding", "{name}");
        // Of many readings only the likeliest are shown.
        let own = if encoding == "IBM866" { String::new() } else { format!("{name};Acme;19,90;https://cdn.shop") };
        for part in [&own, other, "in windows-1252"] {
            assert!(failure.message.contains(part), "{part}: {}", failure.message);
        }
    }
    // The same bytes are valid UTF-8.
    for (encoding, name, other) in [("GBK", "小", "С"), ("GBK", "木", "ľ")] {
        let bytes = encoded(encoding, &shop(&[name; 20]));
        assert!(std::str::from_utf8(&bytes).is_ok_and(|text| text.contains(other)), "{name}");
        let failure = found(&bytes).expect_err(name);
        assert_eq!(failure.code, "ambiguous_encoding", "{name}");
        assert!(failure.message.contains(other) && failure.message.contains("in UTF-8"), "{}", failure.message);
    }
    // A letter of Western languages, and one beside another word of its script, is sure.
    for names in [
        &["Lampada è blu"][..],
        &["å"],
        &["azul ó rojo"],
        &["Torx ö", "Gefäß"],
        &["Lamp č. 5", "Kočka"],
        &["Lamp с USB", "Щит"],
    ] {
        assert_eq!(found(shop(names).as_bytes()).expect("UTF-8"), UTF_8, "{names:?}");
    }
}

#[test]
fn how_often_a_word_is_repeated_proves_nothing() {
    let once = shop(&["台灯"]);
    let often = shop(&["台灯"; 500]);
    let (once, often) = (encoded("GBK", &once), encoded("GBK", &often));
    let verdict =
        |bytes: &[u8]| found(bytes).map_or_else(|failure| failure.code, |encoding| encoding.name().to_owned());
    assert_eq!(verdict(&once), verdict(&often));
}

#[test]
fn a_byte_that_an_encoding_leaves_undefined_rules_it_out() {
    // 0x81 is a letter in Windows-1251, and nothing in Windows-1252, which would read the rest.
    let mut bytes = encoded("windows-1252", &shop(&["Kühlschränke", "Türstopper weiß", "Rührschüssel"]));
    bytes.extend_from_slice(b"SV-9;\x81;Acme;1;;\r\n");
    let failure = found(&bytes).expect_err("nothing reads it");
    assert!(!failure.message.contains("in windows-1252"), "{}", failure.message);
}

#[test]
fn what_cannot_be_told_is_shown_as_each_encoding_reads_it() {
    // "dvorù" of an Italian, or "dvorů" of a Czech.
    let failure = found(b"sku,name\nA-1,lamp\nA-2,dvor\xf9\x07\x1b[31m,Acme\n").expect_err("either may be");
    assert_eq!(failure.code, "ambiguous_encoding");
    let message = &failure.message;
    for part in [
        "line 3 reads",
        "\"A-2,dvorù\\u{7}\\u{1b}[31m,Acme\" in windows-1252",
        "dvorů",
        "in windows-1250",
        "the option `encoding` = \"windows-125",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert!(!message.contains(char::is_control), "{message}");
    let long = [b"x".repeat(100_000), b" dvor\xf9".to_vec(), b"y".repeat(100_000), b" z\n".to_vec()].concat();
    let message = found(&long).expect_err("either may be").message;
    assert!(message.len() < 2000, "{} bytes", message.len());
}

#[test]
fn utf_16_is_told_by_its_zero_bytes() {
    let bytes = |text: &str, order: fn(u16) -> [u8; 2]| -> Vec<u8> { text.encode_utf16().flat_map(order).collect() };
    for text in [
        "sku\tname\nA-1\tLamp\nA-2\tMöbel\n",
        "sku,name\n1,台灯不锈钢\n2,卓上ランプ照明\n3,Лампа\n",
        "sku;name\r\nA;\u{1f600}\r\n",
    ] {
        let (little, big) = (bytes(text, u16::to_le_bytes), bytes(text, u16::to_be_bytes));
        assert_eq!(found(&little).expect("told"), UTF_16LE, "{text}");
        assert_eq!(found(&big).expect("told"), UTF_16BE, "{text}");
        // Wherever the sample ends.
        for end in text.len()..little.len() {
            assert_eq!(encoding(&little[..end], false, None).expect("told"), UTF_16LE, "{text} cut at {end}");
        }
    }
    // Zero bytes here and there, or control characters, are no UTF-16.
    for bytes in [b"sku,name\nA,a\0b\nB,\0c\n".as_slice(), b"a\0\x01\0b\0", b"\0\0\0\0\0\0\0\0", b"sku,name\n"] {
        assert_eq!(found(bytes).expect("read as it is"), UTF_8, "{bytes:?}");
    }
}

#[test]
fn utf_8_may_be_cut_and_be_damaged_and_not_be_mixed() {
    let text = shop(&["Kühlschränke", "Türstopper weiß", "Rührschüssel"]);
    for end in 0..text.len() {
        assert_eq!(encoding(&text.as_bytes()[..end], false, None).expect("UTF-8"), UTF_8, "cut at {end}");
    }
    let damaged = [text.as_bytes(), b"SV-9;M\xf6bel;Acme;1;;\r\n"].concat();
    assert_eq!(found(&damaged).expect("UTF-8"), UTF_8);
    // One row of UTF-8 in a file of another encoding would be stored as no words at all.
    let mixed = [encoded("windows-1252", &text), "SV-9;Möbel;Acme;1;;\r\n".into()].concat();
    let failure = found(&mixed).expect_err("of two encodings");
    assert_eq!(failure.code, "ambiguous_encoding");
    assert!(
        failure.message.contains("line 8 reads \"SV-9;Möbel;Acme;1;;\" in UTF-8, and line 2 is not UTF-8"),
        "{}",
        failure.message
    );
}

#[test]
fn east_asian_words_that_would_do_for_utf_8_are_no_sign_of_two_encodings() {
    // `창` is 0xC3 0xA2, which is `â`.
    let text = shop(&["창", "천장 조명", "스테인리스 냄비", "어린이 자전거", "무선 청소기 필터", "접이식 의자"]);
    assert!(matches!(read_as_written(&encoded("EUC-KR", &text), &text), Ok(true)));
}

#[test]
fn words_of_an_east_asian_encoding_that_happen_to_be_utf_8_are_not_taken_for_it() {
    for word in ["应路", "莫路"] {
        let bytes = encoded("GBK", &shop(&[word]));
        let as_utf_8 = std::str::from_utf8(&bytes).expect("it is UTF-8 too");
        let failure = found(&bytes).expect_err("either may be");
        assert_eq!(failure.code, "ambiguous_encoding");
        let line = as_utf_8.lines().nth(1).expect("a row");
        let odd: String = line.chars().filter(|c| !c.is_ascii()).collect();
        for part in [word, &odd, "in GBK", "in UTF-8", "`--encoding GBK`", "line 2"] {
            assert!(failure.message.contains(part), "{part}: {}", failure.message);
        }
    }
    // Some of it whole, some of it broken.
    let failure = found(&encoded("GBK", &shop(&["郑路", "吴凯"]))).expect_err("no damaged UTF-8");
    assert!(failure.message.contains("郑路"), "{}", failure.message);
    // What is met in UTF-8 stays UTF-8.
    for word in ["é", "Ø 20", "½", "20°C", "µm", "Łódź", "Щит", "ώρα", "שלום", "سلام", "灯", "😀", "–", "l·l", "naïve"]
    {
        assert_eq!(found(shop(&[word]).as_bytes()).expect("UTF-8"), UTF_8, "{word}");
    }
}

#[test]
fn encodings_that_are_not_read_are_named() {
    let escaped = b"sku,name\nA,\x1b$B>HL@\x1b(B\n";
    let failure = found(escaped).expect_err("not read");
    assert_eq!(failure.code, "unknown_encoding");
    assert!(failure.message.contains("ISO-2022-JP"), "{}", failure.message);
    // `Kühlschränke`, `Großpackung Nägel`, `Türstopper weiß` and `Gefäß` as DOS has them.
    let dos = b"sku,name\nA,K\x81hlschr\x84nke\nB,Gro\xe1packung N\x84gel\nC,T\x81rstopper wei\xe1\nD,Gef\x84\xe1\n";
    let failure = found(dos).expect_err("not read");
    assert_eq!(failure.code, "ambiguous_encoding");
    assert!(failure.message.contains("\"A,Kühlschränke\" in IBM850, which is not read"), "{}", failure.message);
}

#[test]
fn a_mark_and_a_wish_go_before_what_bytes_look_like() {
    let bytes = encoded("windows-1251", &shop(&["Торшер напольный", "Чайный сервиз"]));
    assert_eq!(encoding(&bytes, true, Some("koi8-r")).expect("asked for").name(), "KOI8-R");
    assert_eq!(encoding(&[b"\xef\xbb\xbf".as_slice(), &bytes].concat(), true, Some("koi8-r")).expect("marked"), UTF_8);
    assert_eq!(encoding(&bytes, true, Some("klingon")).expect_err("unknown").code, "unknown_encoding");
}

#[test]
fn what_is_not_utf_8_is_shown_as_it_may_read() {
    let shown = likely_readings(b"M\xf6belf\xfc\xdfe", 1).expect("letters");
    assert!(shown.starts_with("\"Möbelfüße\" in windows-1252"), "{shown}");
    assert_eq!(likely_readings("Möbel".as_bytes(), 1), None);
    let long = [b"x".repeat(100_000), b"M\xf6bel".to_vec(), b"y".repeat(100_000)].concat();
    assert!(likely_readings(&long, 100_001).expect("letters").len() < 1000);
}
