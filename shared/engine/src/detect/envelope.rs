//! What an object of a JSON document is: a record, or an envelope around the array that holds the rows.

use penstock_model::ReadOptions;

use crate::split::Members;

/// Arrays of objects that are remembered, at most: two are enough to fail, and the failure names some.
const NAMED_ARRAYS: usize = 8;

/// Characters of a path that a failure shows.
const PATH_CHARS: usize = 64;

/// What was seen of an object, as far as the text goes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Envelope {
    /// The paths of the arrays in it that begin with an object, each with the name of the member of the outermost
    /// object in which it is. Arrays in arrays are not looked at.
    pub(super) arrays: Vec<(String, String)>,
    /// Whether there is an empty array.
    pub(super) has_empty: bool,
    /// The names of its own members that are fields.
    pub(super) fields: usize,
}

impl Envelope {
    /// Looks at the object that a text begins with.
    pub(super) fn of(text: &str, is_field: &dyn Fn(&str) -> bool) -> Self {
        let mut found = Self::default();
        Members::of(text.as_bytes()).each(&mut |path: &[String], value| {
            found.fields += usize::from(path.len() == 1 && is_field(&path[0]));
            match value {
                b"[{" if found.arrays.len() < NAMED_ARRAYS => {
                    let shown =
                        ReadOptions::path_of(path).chars().filter(|c| !c.is_control()).take(PATH_CHARS).collect();
                    found.arrays.push((shown, path[0].clone()));
                }
                b"[]" => found.has_empty = true,
                _ => {}
            }
        });
        found
    }

    /// The paths of its arrays of objects, as a part of a sentence.
    pub(super) fn listed(&self) -> String {
        let paths: Vec<String> = self.arrays.iter().map(|(path, _)| format!("`{path}`")).collect();
        paths.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_of_objects_are_found_however_deep_and_wherever_the_text_ends() {
        let text =
            r#"{"status":"o\"k","tags":["{"],"data":{"items":[{"sku":1,"more":[{}]}],"n":[ ]},"x":[ {}],"sku":7}"#;
        let of = |text| Envelope::of(text, &|name| name == "sku");
        let found = of(text);
        let paths: Vec<&str> = found.arrays.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!((paths, found.has_empty, found.fields), (vec!["data.items", "x"], true, 1));
        assert_eq!(found.arrays[0].1, "data");
        for end in 0..text.len() {
            let part = of(&text[..end]);
            assert!(found.arrays.starts_with(&part.arrays), "{end}");
        }
        assert_eq!(of(r#"{"a":{"b.c":[{}]}}"#).arrays, [("/a/b.c".to_owned(), "a".to_owned())]);
        assert_eq!(of(r#"{"a":{"b":{}},"sku":{"sku":1}}"#), Envelope { fields: 1, ..Envelope::default() });
        assert_eq!(of("{"), Envelope::default());
    }
}
