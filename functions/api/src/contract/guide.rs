//! The pages for people: each document made readable, and for a dialect what `DIALECTS.md` says of coming from it.
//!
//! A page is HTML without scripts, whose links are relative, so that it is right behind a stage too.

use std::{collections::BTreeMap, fmt::Write};

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};
use serde_json::Value;

use super::path_of;
use crate::dialect::Dialect;

/// What people write who come from another API.
const DIALECTS: &str = include_str!("../dialects/DIALECTS.md");

/// The section of every dialect.
const ALL: &str = "All of them";

/// Statuses that every operation with a key may answer with, which a page says once.
const COMMON: [&str; 4] = ["401", "403", "500", "503"];

/// Names of dialects and their titles, in the order of `DIALECTS.md`.
fn titles() -> Vec<(String, &'static str)> {
    let headings = DIALECTS.lines().filter_map(|line| line.strip_prefix("## ")).filter(|title| *title != ALL);
    headings.map(|title| (title.to_lowercase().replace(' ', ""), title)).collect()
}

/// The text below a heading of `DIALECTS.md`.
fn section(title: &str) -> &'static str {
    let (_, rest) = DIALECTS.split_once(&format!("\n## {title}\n")).unwrap_or_else(|| panic!("no section {title}"));
    rest.split("\n## ").next().unwrap_or_default()
}

/// The cells of a dialect's line in the first table of `DIALECTS.md`, behind its name.
fn summary(title: &str) -> Vec<&'static str> {
    let line = DIALECTS.lines().find(|line| line.starts_with(&format!("| [{title}](")));
    let cells = line.unwrap_or_else(|| panic!("no line of {title}")).trim_matches('|').split('|');
    cells.skip(1).map(str::trim).collect()
}

/// The page of an API, of its document.
pub(super) fn page(dialect: &Dialect, document: &Value) -> String {
    let title = titles().into_iter().find(|(name, _)| name == dialect.name).map(|(_, title)| title);
    // From `/docs` and from `/docs/algure`.
    let (root, pages) = if title.is_some() { ("../", "") } else { ("", "docs/") };
    let heading = title.map_or_else(|| "The native API".to_owned(), |title| format!("Coming from {title}"));
    let mut page = String::new();
    let version = document["info"]["version"].as_str().unwrap_or_default();
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{heading} · Penstock {version}</title>\n\
         <link rel=\"stylesheet\" href=\"{pages}style.css\">\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#main\">To the content</a>\n<header>\n<p>Penstock {version}</p>\n\
         <nav aria-label=\"APIs\">\n<ul>\n"
    );
    let mut others = vec![("native".to_owned(), "The native API", format!("{root}docs"))];
    others.extend(titles().into_iter().map(|(name, title)| (name.clone(), title, format!("{pages}{name}"))));
    for (name, title, at) in others {
        let current = if name == dialect.name { " aria-current=\"page\"" } else { "" };
        let _ = writeln!(page, "<li><a href=\"{at}\"{current}>{title}</a></li>");
    }
    let _ = write!(page, "</ul>\n</nav>\n</header>\n<main id=\"main\">\n<h1>{heading}</h1>\n");
    if let Some(title) = title {
        let names = ["Base path", "Credential", "It takes"];
        page += "<dl>\n";
        for (name, cell) in names.iter().zip(summary(title)) {
            let _ = writeln!(page, "<dt>{name}</dt><dd>{}</dd>", inline(cell));
        }
        page += "</dl>\n";
        page += &blocks(section(title));
        page += &blocks(section(ALL).split("\n\n- ").nth(1).map_or(String::new(), |rest| format!("- {rest}")).as_str());
    } else {
        page += &blocks(document["info"]["description"].as_str().unwrap_or_default());
    }
    let at = format!("{root}{}", path_of(dialect).trim_start_matches('/'));
    let _ =
        writeln!(page, "<p>A program reads <a href=\"{at}\">the OpenAPI document</a>, of which this page is made.</p>");
    credentials(&mut page, document);
    operations(&mut page, document);
    webhooks(&mut page, document);
    schemas(&mut page, document);
    page += "</main>\n</body>\n</html>\n";
    page
}

fn credentials(page: &mut String, document: &Value) {
    *page += "<h2 id=\"credentials\">Credentials</h2>\n<ul>\n";
    for (_, scheme) in members(&document["components"]["securitySchemes"]) {
        let how = match (scheme["scheme"].as_str(), scheme["name"].as_str()) {
            (Some("bearer"), _) => "<code>Authorization: Bearer …</code>".to_owned(),
            (Some(_), _) => "<code>Authorization: Basic …</code>".to_owned(),
            (None, name) => format!("the header <code>{}</code>", name.unwrap_or_default()),
        };
        let about = scheme["description"].as_str().map(|about| format!(": {}", inline(about))).unwrap_or_default();
        let _ = writeln!(page, "<li>{how}{about}</li>");
    }
    *page += "</ul>\n<p>An operation that needs a key can also be answered with these:</p>\n<ul>\n\
        <li>401: the key is missing or wrong.</li>\n<li>403: the key lacks the scope.</li>\n\
        <li>429: a limit is used up; <code>Retry-After</code> says when to ask again.</li>\n\
        <li>500 and 503: the service failed, or cannot answer now.</li>\n</ul>\n";
}

/// The operations, those of one thing together.
fn operations(page: &mut String, document: &Value) {
    let mut groups: BTreeMap<String, Vec<(&str, &str, &Value)>> = BTreeMap::new();
    for (path, methods) in members(&document["paths"]) {
        let thing = match path.strip_prefix("/v1/").and_then(|rest| rest.split('/').next()) {
            Some(thing) if thing != "products" => thing.to_owned(),
            _ => String::new(),
        };
        for (method, operation) in members(methods) {
            groups.entry(thing.clone()).or_default().push((method, path, operation));
        }
    }
    // What is of no thing comes last where there are things.
    let rest = groups.remove("");
    let rest_is_all = groups.is_empty();
    let mut groups: Vec<_> = groups.into_iter().map(|(thing, found)| (capital(&thing), found)).collect();
    groups.extend(rest.map(|found| (if rest_is_all { "Operations" } else { "Others" }.to_owned(), found)));
    *page += "<nav aria-label=\"Operations\">\n<ul>\n";
    for (method, path, operation) in groups.iter().flat_map(|(_, found)| found) {
        let name = operation["operationId"].as_str().unwrap_or_default();
        let _ = writeln!(page, "<li><a href=\"#{name}\"><code>{} {path}</code></a></li>", method.to_uppercase());
    }
    *page += "</ul>\n</nav>\n";
    for (thing, found) in groups {
        let _ = writeln!(page, "<h2>{thing}</h2>");
        for (method, path, operation) in found {
            self::operation(page, method, path, operation);
        }
    }
}

/// The requests that the service makes.
fn webhooks(page: &mut String, document: &Value) {
    for (_, methods) in members(&document["webhooks"]) {
        *page += "<h2>What your endpoint is sent</h2>\n";
        for (method, request) in members(methods) {
            operation(page, method, "your endpoint", request);
        }
    }
}

fn operation(page: &mut String, method: &str, path: &str, operation: &Value) {
    let text = |value: &Value| value.as_str().map(inline).unwrap_or_default();
    let name = operation["operationId"].as_str().unwrap_or_default();
    let _ = writeln!(
        page,
        "<section aria-labelledby=\"{name}\">\n<h3 id=\"{name}\"><code>{} {path}</code></h3>\n<p>{}</p>",
        method.to_uppercase(),
        text(&operation["summary"])
    );
    if operation["description"].is_string() {
        let _ = writeln!(page, "<p>{}</p>", text(&operation["description"]));
    }
    let parameters: Vec<&Value> = operation["parameters"].as_array().into_iter().flatten().collect();
    if !parameters.is_empty() {
        let _ =
            write!(page, "<table>\n<caption>Parameters</caption>\n{}", head(&["name", "where", "type", "what it is"]));
        for parameter in parameters {
            let _ = writeln!(
                page,
                "<tr><th scope=\"row\"><code>{}</code></th><td>{}</td><td>{}</td><td>{}</td></tr>",
                parameter["name"].as_str().unwrap_or_default(),
                parameter["in"].as_str().unwrap_or_default(),
                shape(&parameter["schema"]),
                text(&parameter["description"])
            );
        }
        *page += "</tbody>\n</table>\n";
    }
    let body = &operation["requestBody"];
    for (media_type, content) in members(&body["content"]) {
        let may = if body["required"] == true { "Body" } else { "Body, if any" };
        let _ = writeln!(
            page,
            "<p>{may}: <code>{media_type}</code>, {}. {}</p>",
            shape(&content["schema"]),
            text(&body["description"])
        );
        example(page, "A body", &content["example"]);
    }
    let _ = write!(page, "<table>\n<caption>Answers</caption>\n{}", head(&["status", "body", "what it is"]));
    let mut examples = Vec::new();
    for (status, answer) in members(&operation["responses"]) {
        if COMMON.contains(&status) {
            continue;
        }
        let mut bodies = Vec::new();
        for (media_type, content) in members(&answer["content"]) {
            let is_error = status.starts_with(['4', '5']);
            let of = if is_error { String::new() } else { format!(", {}", shape(&content["schema"])) };
            bodies.push(format!("<code>{media_type}</code>{of}"));
            examples.push((status, &content["example"]));
        }
        let headers: Vec<String> = members(&answer["headers"])
            .map(|(name, header)| format!(" <code>{name}</code>: {}", text(&header["description"])))
            .collect();
        let _ = writeln!(
            page,
            "<tr><th scope=\"row\">{status}</th><td>{}</td><td>{}{}</td></tr>",
            bodies.join("<br>"),
            text(&answer["description"]),
            headers.concat()
        );
    }
    *page += "</tbody>\n</table>\n";
    for (status, shown) in examples {
        example(page, &format!("An answer, {status}"), shown);
    }
    *page += "</section>\n";
}

fn schemas(page: &mut String, document: &Value) {
    let schemas = &document["components"]["schemas"];
    if members(schemas).next().is_none() {
        return;
    }
    *page += "<h2 id=\"shapes\">Shapes</h2>\n";
    for (name, schema) in members(schemas) {
        let about = schema["description"].as_str().map(inline).unwrap_or_default();
        let _ = writeln!(page, "<section aria-labelledby=\"{name}\">\n<h3 id=\"{name}\">{name}</h3>\n<p>{about}</p>");
        if schema["properties"].is_object() {
            let _ = write!(page, "<table>\n<caption>Members</caption>\n{}", head(&["name", "type", "what it is"]));
            for (member, of) in members(&schema["properties"]) {
                let about = of["description"].as_str().map(inline).unwrap_or_default();
                let _ = writeln!(
                    page,
                    "<tr><th scope=\"row\"><code>{member}</code></th><td>{}</td><td>{about}</td></tr>",
                    shape(of)
                );
            }
            *page += "</tbody>\n</table>\n";
        } else {
            let _ = writeln!(page, "<p>{}</p>", shape(schema));
        }
        *page += "</section>\n";
    }
}

fn head(columns: &[&str]) -> String {
    let cells: String = columns.iter().map(|column| format!("<th scope=\"col\">{column}</th>")).collect();
    format!("<thead><tr>{cells}</tr></thead>\n<tbody>\n")
}

fn example(page: &mut String, title: &str, shown: &Value) {
    let text = match shown {
        Value::Null => return,
        Value::String(text) => text.clone(),
        value => serde_json::to_string_pretty(value).expect("JSON"),
    };
    let _ = writeln!(page, "<details>\n<summary>{title}</summary>\n<pre>{}</pre>\n</details>", escaped(&text));
}

/// What a schema takes, in words.
fn shape(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap_or_default();
        return format!("<a href=\"#{name}\">{name}</a>");
    }
    for choices in [&schema["anyOf"], &schema["oneOf"], &schema["allOf"]] {
        if let Some(choices) = choices.as_array() {
            let shapes: Vec<String> = choices.iter().map(shape).collect();
            return shapes.join(" or ");
        }
    }
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<String> = words.iter().map(|word| format!("<code>{}</code>", escaped(&plain(word)))).collect();
        return words.join(", ");
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => return "anything".to_owned(),
    };
    let one = |name: &&str| match *name {
        "array" => format!("list of {}", shape(&schema["items"])),
        "object" if schema["properties"].is_object() => {
            let line = |(name, of): (&str, &Value)| format!("<li><code>{name}</code>: {}</li>", shape(of));
            format!("object <ul>{}</ul>", members(&schema["properties"]).map(line).collect::<String>())
        }
        "object" if schema["additionalProperties"].is_object() => {
            format!("object of {}", shape(&schema["additionalProperties"]))
        }
        "string" => match (schema["format"].as_str(), schema["pattern"].as_str()) {
            (Some("binary"), _) => "bytes".to_owned(),
            (_, Some(pattern)) => format!("text like <code>{}</code>", escaped(pattern)),
            _ => "text".to_owned(),
        },
        "integer" | "number" => match (schema["minimum"].as_u64(), schema["maximum"].as_u64()) {
            (Some(least), Some(most)) => format!("{name}, {least} to {most}"),
            (Some(least), None) if least > 0 => format!("{name}, {least} at least"),
            _ => (*name).to_owned(),
        },
        other => other.to_owned(),
    };
    types.iter().map(one).collect::<Vec<_>>().join(" or ")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Markdown as blocks of HTML. A link to a dialect leads to its page; one to a file of the repository is its text.
fn blocks(markdown: &str) -> String {
    let mut leads = Vec::new();
    let events = Parser::new_ext(markdown, Options::ENABLE_TABLES).filter_map(|event| match event {
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            let page = dest_url.strip_prefix('#').map(|name| CowStr::from(name.replace('-', "")));
            leads.push(page.is_some());
            page.map(|dest_url| Event::Start(Tag::Link { link_type, dest_url, title, id }))
        }
        Event::End(TagEnd::Link) => leads.pop().filter(|leads| *leads).map(|_| Event::End(TagEnd::Link)),
        // What a document says in angle brackets is no HTML.
        Event::Html(text) | Event::InlineHtml(text) => Some(Event::Text(text)),
        event => Some(event),
    });
    let mut page = String::new();
    html::push_html(&mut page, events);
    page
}

/// Markdown inside a line.
fn inline(markdown: &str) -> String {
    let page = blocks(markdown);
    page.trim().trim_start_matches("<p>").trim_end_matches("</p>").to_owned()
}
