//! Files made from a seed.

use super::rng::Rng;

/// The columns of [`hostile`]; `colour` is no field.
pub const COLUMNS: &str = "sku,name,description,cost,brand,active,colour,base_units_per_sales_unit";

/// A file with everything that a file can have: quoted newlines, quotes in unquoted cells, repeated keys, every line
/// ending, blank lines, and bad rows of every kind, a quote that is never closed among them as the last.
pub fn hostile(seed: u64, rows: u64) -> Vec<u8> {
    let mut rng = Rng::new(seed);
    let mut file = format!("\u{feff}{COLUMNS}\r\n").into_bytes();
    for _ in 0..rows {
        if rng.once_in(50) {
            file.extend(*rng.pick(&[&b"\n"[..], b"\r\n", b"\r", b"\n\r\n\n"]));
        }
        match rng.below(1000) {
            0..900 => good(&mut rng, rows, &mut file),
            900..995 => bad(&mut rng, rows, &mut file),
            // Not often: a record over the limit is a chunk by itself.
            _ if rng.once_in(20) => {
                file.extend(format!("big-{},", rng.next()).as_bytes());
                file.extend(std::iter::repeat_n(b'x', penstock_model::limits::RECORD_BYTES));
                file.extend(b",d,1,b,true,,1");
            }
            _ => good(&mut rng, rows, &mut file),
        }
        file.extend(*rng.pick(&[&b"\n"[..], b"\n", b"\r\n", b"\r"]));
    }
    file.extend(b"last,\"never closed\nlast,n,d,1,b,true,,1\n");
    file
}

fn good(rng: &mut Rng, rows: u64, file: &mut Vec<u8>) {
    // Two rows in three name a record that another names too.
    let sku = rng.below(rows / 2 + 1);
    let name = *rng.pick(&[
        "Plain",
        "\"Quoted, with comma\"",
        "\"Two\nlines\"",
        "12\" wide",
        "\"Says \"\"hello\"\"\"",
        "\"A\r\nB\"",
        "Ümläut 😀",
        "\"x\"tail",
    ]);
    let description = *rng.pick(&["", "d", "\"a long, long\n\n\ndescription\"", "D,"]);
    let cost = *rng.pick(&["", "1", "9.90", "0.5", "1e2", " 7.25 ", "00012.00"]);
    let active = *rng.pick(&["", "true", "FALSE", "1", "0"]);
    let units = *rng.pick(&["", "1", "12", "-3"]);
    let colour = rng.below(3);
    // "D," is one cell too many unless the ignored column makes room for it: it never does, so quote it.
    let description = if description == "D," { "\"D,\"" } else { description };
    file.extend(
        format!("SKU-{sku},{name},{description},{cost},Brand {},{active},{colour},{units}", sku % 7).as_bytes(),
    );
}

fn bad(rng: &mut Rng, rows: u64, file: &mut Vec<u8>) {
    let sku = rng.below(rows);
    let row: &[u8] = match rng.below(12) {
        0 => b",n,d,1,b,true,,1",
        1 => b"s,,d,1,b,true,,1",
        2 => b"s,n,d,1,,true,,1",
        3 => b"s,n,d,9;90,b,true,,1",
        4 => b"s,n,d,1,b,yes,,1",
        5 => b"s,n,d,1,b,true,,1.5",
        6 => b"s,n,d,1,b,true,,99999999999999999999",
        7 => b"s,n,d,1,b",
        8 => b"s,n,d,1,b,true,,1,more",
        9 => b"s,n\xff,d,1,b,true,,1",
        10 => b"s,n,d\0,1,b,true,,1",
        _ => b",,d,x,,x,,x",
    };
    if row[0] == b's' {
        file.extend(format!("bad-{sku}").as_bytes());
        file.extend(&row[1..]);
    } else {
        file.extend(row);
    }
}

/// Plain rows `sku,name,brand,cost`, the first of them numbered `first`.
pub fn plain(first: u64, rows: u64, cost: &str) -> Vec<u8> {
    let mut file = String::from("sku,name,brand,cost\n");
    for row in first..first + rows {
        file.push_str(&format!("SKU-{row},Product {row},Brand,{cost}\n"));
    }
    file.into_bytes()
}

/// A file whose rows, good and bad, name few records over and over, so that imports of such files clash.
pub fn clashing(rng: &mut Rng, rows: u64, keys: u64) -> Vec<u8> {
    let mut file = String::from("sku,name,brand,description,cost,active\n");
    for _ in 0..rows {
        let key = rng.below(keys);
        let name = rng.below(1000);
        let description = *rng.pick(&["", "", "red", "green", "\"two\nlines\""]);
        let cost = *rng.pick(&["", "1", "2.50", "3"]);
        let active = *rng.pick(&["", "true", "false"]);
        match rng.below(40) {
            0 => file.push_str(&format!("K{key},,B,{description},{cost},{active}\n")),
            1 => file.push_str(&format!("K{key},N{name},B,{description},dear,maybe\n")),
            2 => file.push_str(&format!("K{key},N{name}\n")),
            _ => file.push_str(&format!("K{key},N{name},B,{description},{cost},{active}\n")),
        }
    }
    file.into_bytes()
}

/// The keys that such files name.
pub fn keys(count: u64) -> Vec<String> {
    (0..count).map(|key| format!("K{key}")).collect()
}

/// A file in whose rows little ever changes: of the records that they name over and over, and of what they say of each,
/// there are few.
pub fn steady(rng: &mut Rng, rows: u64, keys: u64) -> Vec<u8> {
    let mut file = String::from("sku,name,brand,description,cost,active\n");
    for _ in 0..rows {
        let key = rng.below(keys);
        let description = *rng.pick(&["red", "red", "", "green"]);
        let cost = *rng.pick(&["1", "1", "1.0", "2"]);
        file.push_str(&format!("K{key},N,B,{description},{cost},true\n"));
    }
    file.into_bytes()
}
