//! The bundled kinds: each reads, compiles, and does what the documents say of it.

use std::collections::BTreeMap;

use penstock_model::Grammar;
use penstock_model::Value;

use super::*;
use crate::{cell::Input, plan::Plan};

/// What one row of a kind becomes: its key and what a new record shows, as JSON; or the fields and codes of its errors.
fn made(kind: &str, row: &[(&str, Input<'_>)]) -> Result<(String, serde_json::Value), Vec<(String, &'static str)>> {
    let mut kind = compiled(kind);
    let (mut cells, mut errors) = (Vec::new(), Vec::new());
    for (name, input) in row {
        let place = kind.index_of(name).or_else(|| kind.keeps_additional().then(|| kind.add_field(name)));
        let Some(place) = place else { continue };
        match kind.field(place).check(*input) {
            Ok(Some(cell)) => cells.push((place, Some(cell.into_owned()))),
            Ok(None) => {}
            Err(found) => errors.extend(found.into_iter().map(|e| (format!("{name}{}", e.path), e.code))),
        }
    }
    let absent =
        kind.fields().iter().filter(|field| field.is_required() && row.iter().all(|(name, _)| name != &field.name()));
    errors.extend(absent.map(|field| (field.name().to_owned(), "required")));
    if !errors.is_empty() {
        return Err(errors);
    }
    let defaults = kind.defaults(&cells);
    let shown = cells.iter().chain(&defaults).filter_map(|(place, value)| {
        let value = serde_json::to_value(Value::from(value.clone()?)).expect("a value is JSON");
        Some((kind.field(*place).name().to_owned(), value))
    });
    Ok((kind.key_of(&cells), shown.collect::<serde_json::Map<_, _>>().into()))
}

fn text(text: &str) -> Input<'_> {
    Input::Text(text)
}

#[test]
fn every_bundled_kind_compiles_with_all_its_columns() {
    for schema in all() {
        let columns: Vec<String> = schema.fields.iter().map(|field| field.name.clone()).collect();
        Plan::compile(compiled(schema.name.as_str()), Grammar::CSV, &columns, &BTreeMap::new())
            .expect("a bundled kind takes its own columns");
    }
    let names: Vec<&str> = all().iter().map(|schema| schema.name.as_str()).collect();
    assert_eq!((names.len(), names[0]), (DOCUMENTS.len(), DEFAULT));
}

#[test]
fn an_algure_product_may_be_without_a_lot_and_keeps_to_its_bounds() {
    let row = |stock, unit| {
        [
            ("code", text("007")),
            ("description", text("Bolt")),
            ("stock", text(stock)),
            ("warehouseCode", text("W,1")),
            ("locationCode", text("L")),
            ("locationPriority", text("")),
            ("costPrice", text("0")),
            ("packagingUnit", text(unit)),
            ("lot", text("")),
        ]
    };
    let (key, _) = made("algure-products", &row("1.123456", "0.00001")).expect("taken");
    assert_eq!(key, "007,W%2C1,L,");
    let errors = made("algure-products", &row("-1", "0.000001")).expect_err("out of bounds");
    assert_eq!(errors, [("stock".into(), "too_small"), ("packagingUnit".into(), "too_small")]);
    let errors = made("algure-products", &row("1.1234567", "1")).expect_err("too precise");
    assert_eq!(errors, [("stock".into(), "too_precise")]);
}

#[test]
fn a_bad_ean_has_the_message_that_its_document_has() {
    assert_eq!(made("productsmanager-products", &[("ean", text("0012345678905"))]).expect("taken").0, "0012345678905");
    let kind = compiled("productsmanager-products");
    for bad in ["0012345678904", "012345678905", "invalid-ean", "00012345678905"] {
        let errors = kind.field(0).check(text(bad)).expect_err("bad");
        assert_eq!((errors[0].code, errors[0].message.as_str()), ("invalid_ean", "Invalid EAN format."), "{bad}");
    }
}

#[test]
fn better_datas_defaults_and_scopes_are_those_of_its_document() {
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
    for (kind, row, key, shows) in [
        ("catalog", vec![("externalId", text("A"))], "A", r#"{"externalId":"A","name":"A"}"#),
        (
            "inventory",
            vec![("skuId", text("S")), ("locationId", text("L")), ("quantityOnHand", Input::Number("1.50"))],
            "S,1-L",
            r#"{"skuId":"S","locationId":"1-L","quantityOnHand":1.5,"quantityReserved":0,"reorderPoint":0}"#,
        ),
        (
            "demand-history",
            vec![
                ("skuId", Input::Number("7")),
                ("locationId", text("L")),
                ("weekStarting", text("2026-01-01")),
                ("actualDemand", Input::Number("3")),
                ("colour", Input::Json(r#"{"r":[1,null]}"#)),
            ],
            "7,L,2026-W01,ALL",
            r#"{"skuId":"7","locationId":"L","weekStarting":"2026-01-01","week":"2026-W01","channel":"ALL","actualDemand":3,
                "forecastedDemand":3,"colour":{"r":[1,null]}}"#,
        ),
        (
            "demand-history",
            vec![("skuId", text("S")), ("locationId", text("L")), ("weekStarting", text("2027-01-03"))],
            "S,L,2026-W53,ALL",
            r#"{"skuId":"S","locationId":"L","weekStarting":"2027-01-03","week":"2026-W53","channel":"ALL","actualDemand":0,
                "forecastedDemand":0}"#,
        ),
        (
            "orders",
            vec![
                ("externalOrderId", text("O")),
                ("lines", Input::Json(r#"[{"skuId":"S","quantity":"2.0","locationId":"L","note":"x"}]"#)),
            ],
            "O",
            r#"{"externalOrderId":"O","lines":[{"skuId":"S","quantity":2,"locationId":"L","note":"x"}]}"#,
        ),
        (
            "purchase-orders",
            vec![
                ("externalPoNumber", text("P")),
                ("supplierId", text("S")),
                ("destinationLocationId", text("D")),
                ("lines", text(r#" [{"skuId":7,"quantity":1,"unitCost":0.10}] "#)),
            ],
            "P",
            r#"{"externalPoNumber":"P","supplierId":"S","destinationLocationId":"D","status":"PENDING",
                "lines":[{"skuId":"7","quantity":1,"unitCost":0.1}]}"#,
        ),
    ] {
        assert_eq!(made(kind, &row), Ok((key.to_owned(), json(shows))), "{kind}");
    }
}

#[test]
fn errors_inside_lines_name_their_place() {
    let lines = Input::Json(r#"[{"skuId":"S","quantity":1,"locationId":"L"},{"skuId":null,"quantity":"x"},7]"#);
    let errors = made("orders", &[("externalOrderId", text("O")), ("lines", lines)]).expect_err("bad lines");
    let expected = [
        ("lines[1].skuId", "required"),
        ("lines[1].quantity", "invalid_number"),
        ("lines[1].locationId", "required"),
        ("lines[2]", "wrong_type"),
    ];
    assert_eq!(errors, expected.map(|(field, code)| (field.to_owned(), code)));
    let none = made("orders", &[("externalOrderId", text("O")), ("lines", Input::Json("[]"))]);
    assert_eq!(none, Err(vec![("lines".into(), "too_short")]));
    assert_eq!(made("orders", &[("externalOrderId", text("O"))]), Err(vec![("lines".into(), "required")]));
}

#[test]
fn connectifs_kinds_keep_the_columns_of_their_owner() {
    let (key, shown) =
        made("contacts", &[("_email", text("john@example.org")), ("_points", text("10")), ("tier", text("gold"))])
            .expect("taken");
    assert_eq!(key, "john@example.org");
    assert_eq!(shown, serde_json::json!({"_email": "john@example.org", "_points": 10, "tier": "gold"}));
    assert_eq!(made("contacts", &[("_email", text("john"))]), Err(vec![("_email".into(), "invalid_email")]));
    assert_eq!(made("connectif-products", &[("product_id", text("01"))]).expect("taken").0, "01");
    assert_eq!(made("vouchers", &[("code", text("X,1"))]).expect("taken").0, "X%2C1");
}
