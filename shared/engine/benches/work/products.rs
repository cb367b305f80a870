//! Files of products: the same rows as CSV, NDJSON, a JSON array and a workbook, made from a fixed seed.

use rust_xlsxwriter::Workbook;

/// The columns: those of the kind `products` but for its last custom value.
pub(crate) const COLUMNS: [&str; 19] = [
    "sku",
    "name",
    "description",
    "cost",
    "upc",
    "brand",
    "msrp",
    "base_price",
    "category",
    "active",
    "custom1_name",
    "custom1_value",
    "custom2_name",
    "custom2_value",
    "custom3_name",
    "image_url",
    "sales_unit",
    "base_unit_of_measure",
    "base_units_per_sales_unit",
];

/// Which of them hold a number, and which true or false.
const NUMBERS: [usize; 4] = [3, 6, 7, 18];
const BOOLEAN: usize = 9;

/// One row in so many is bad: 0.5 %.
const BAD_EVERY: u64 = 200;

/// SplitMix64 (Steele, Lea, Flood, 2014), which needs no library to stay the same for ever.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len() as u64) as usize]
    }

    fn price(&mut self) -> String {
        format!("{}.{:02}", 1 + self.below(2000), self.below(100))
    }
}

/// The rows, some 261 bytes each as CSV. Of the descriptions a third holds a comma and one in fifty a quote or a line
/// end; one name in a hundred has a bare quote, which opens nothing.
fn rows(count: u64) -> impl Iterator<Item = [String; 19]> {
    let mut random = Random(7);
    (0..count).map(move |row| {
        let adjective = random.of(&["High-quality", "Everyday", "Hand-made", "Water-resistant", "Organic"]);
        let material = random.of(&["cotton", "linen", "stainless steel", "oak", "recycled plastic"]);
        let thing = random.of(&["T-Shirt", "Jeans", "Frying Pan", "Bookshelf", "Backpack", "Café Table"]);
        let description = match random.below(300) {
            0..2 => format!("{adjective} {material}, the \"classic\" of its kind, by the hundred"),
            2..6 => format!("{adjective} {material}, packed by hand\nnot for resale in this form"),
            6..100 => format!("{adjective} {material} {}, suitable for the whole year", thing.to_lowercase()),
            _ => format!("{adjective} {material} {} suitable for the whole year", thing.to_lowercase()),
        };
        let name = match random.below(100) {
            0 => format!("{thing} 12\" wide"),
            _ => format!("Premium {thing} {}", random.below(10_000)),
        };
        let mut cells = [
            format!("SKU-{row:08}"),
            name,
            description,
            random.price(),
            format!("{:012}", random.below(1_000_000_000_000)),
            random.of(&["FashionBrand", "DenimCo", "Küchenprofi", "Nordic Home", ""]).to_owned() + "Brand",
            random.price(),
            random.price(),
            random.of(&["Apparel", "Kitchen", "Furniture", "Outdoor"]).to_owned(),
            random.of(&["true", "false"]).to_owned(),
            "Size".to_owned(),
            random.of(&["Small", "Medium", "Large", "Extra Large"]).to_owned(),
            "Colour".to_owned(),
            random.of(&["Blue", "Red", "Green", "Anthracite", ""]).to_owned(),
            random.of(&["Material", ""]).to_owned(),
            format!("https://example.com/images/products/{row:08}.jpg"),
            random.of(&["Piece", "Box"]).to_owned(),
            "Unit".to_owned(),
            (1 + random.below(24)).to_string(),
        ];
        if row % BAD_EVERY == BAD_EVERY / 2 {
            let (at, cell) = [(3, "9,99"), (0, ""), (18, "a dozen"), (9, "maybe")][random.below(4) as usize];
            cells[at] = cell.to_owned();
        }
        cells
    })
}

/// The rows as CSV, quoted where they must be.
pub(crate) fn csv(count: u64) -> Vec<u8> {
    let mut file = COLUMNS.join(",").into_bytes();
    file.push(b'\n');
    for row in rows(count) {
        for (at, cell) in row.iter().enumerate() {
            if at > 0 {
                file.push(b',');
            }
            match cell.contains([',', '\n']) {
                false => file.extend(cell.bytes()),
                true => file.extend(format!("\"{}\"", cell.replace('"', "\"\"")).bytes()),
            }
        }
        file.push(b'\n');
    }
    file
}

/// The rows as JSON objects, each behind `before`; what is not a number or a boolean is a string.
fn json(count: u64, before: fn(u64) -> &'static str, file: &mut Vec<u8>) {
    for (number, row) in (0..).zip(rows(count)) {
        file.extend(before(number).bytes());
        file.push(b'{');
        for (at, (name, cell)) in COLUMNS.iter().zip(&row).enumerate() {
            let is_literal = match at {
                BOOLEAN => matches!(cell.as_str(), "true" | "false"),
                at => NUMBERS.contains(&at) && !cell.contains([',', ' ']),
            };
            let cell = if is_literal { cell.clone() } else { serde_json::to_string(cell).expect("text") };
            file.extend(format!("{}\"{name}\":{cell}", if at > 0 { "," } else { "" }).bytes());
        }
        file.push(b'}');
    }
}

/// The rows as NDJSON.
pub(crate) fn ndjson(count: u64) -> Vec<u8> {
    let mut file = Vec::new();
    json(count, |number| if number > 0 { "\n" } else { "" }, &mut file);
    file
}

/// The rows as a JSON array.
pub(crate) fn array(count: u64) -> Vec<u8> {
    let mut file = b"[".to_vec();
    json(count, |number| if number > 0 { ",\n" } else { "" }, &mut file);
    file.push(b']');
    file
}

/// The rows as a workbook, texts shared as Excel does.
pub(crate) fn xlsx(count: u64) -> Vec<u8> {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    for (at, name) in (0..).zip(COLUMNS) {
        sheet.write(0, at, name).expect("within the sheet");
    }
    for (number, row) in (1..).zip(rows(count)) {
        for (at, cell) in row.iter().enumerate() {
            let column = at as u16;
            let written = match cell.parse::<f64>() {
                Ok(value) if NUMBERS.contains(&at) => sheet.write(number, column, value),
                _ if at == BOOLEAN && cell == "true" => sheet.write(number, column, true),
                _ => sheet.write(number, column, cell),
            };
            written.expect("within the sheet");
        }
    }
    workbook.save_to_buffer().expect("in memory")
}
