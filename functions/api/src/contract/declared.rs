//! What a route says of itself: parameters, bodies, answers and the codes of its errors.

use std::collections::{BTreeMap, BTreeSet};

use penstock_model::{Scope, limits};
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

/// A shape of JSON: of a type, or written out.
pub(crate) enum Shape {
    /// Of a type.
    Of(fn(&mut SchemaGenerator) -> schemars::Schema),
    /// As a schema.
    Written(Value),
}

impl Shape {
    fn of<T: JsonSchema>() -> Self {
        Self::Of(SchemaGenerator::subschema_for::<T>)
    }

    /// Its schema, whose definitions the generator keeps.
    pub(super) fn schema(&self, generator: &mut SchemaGenerator) -> Value {
        match self {
            Self::Of(schema) => schema(generator).to_value(),
            Self::Written(schema) => schema.clone(),
        }
    }
}

/// A parameter of a request.
pub(crate) struct Parameter {
    pub(super) name: String,
    /// `query`, `header` or `path`.
    pub(super) place: &'static str,
    pub(super) required: bool,
    pub(super) about: String,
    pub(super) shape: Shape,
}

/// An answer with a status.
#[derive(Default)]
pub(crate) struct Answer {
    pub(super) about: String,
    /// The body's media type and shape.
    pub(super) body: Option<(&'static str, Shape)>,
    /// Names of headers, and what each says.
    pub(super) headers: Vec<(&'static str, &'static str)>,
    /// The codes of an error.
    pub(super) codes: BTreeSet<&'static str>,
    /// Names of operations that a part of the answer leads to, each with its parameters: where their values stand.
    pub(super) links: Vec<(&'static str, Vec<(&'static str, &'static str)>)>,
}

/// A body of a request: its media types with their shapes.
pub(crate) struct Body {
    pub(crate) required: bool,
    pub(crate) about: &'static str,
    pub(crate) content: Vec<(&'static str, Shape)>,
}

/// One method of one path.
pub(crate) struct Operation {
    pub(super) method: &'static str,
    pub(super) path: String,
    /// Its name, of which a generated client makes a function's.
    pub(super) name: &'static str,
    pub(super) summary: &'static str,
    pub(super) about: String,
    /// The scopes that a key needs; none for a path that anybody may ask.
    pub(super) scopes: Vec<Scope>,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<Body>,
    pub(super) answers: BTreeMap<u16, Answer>,
}

/// What a route says of itself, by name and in a sentence.
pub(crate) fn op(name: &'static str, summary: &'static str) -> Operation {
    Operation {
        method: "",
        path: String::new(),
        name,
        summary,
        about: String::new(),
        scopes: Vec::new(),
        parameters: Vec::new(),
        body: None,
        answers: BTreeMap::new(),
    }
}

impl Operation {
    /// At this method and path, unless it was said where it is shown.
    pub(crate) fn on(mut self, method: &'static str, path: &str) -> Self {
        self.method = method;
        if self.path.is_empty() {
            self.path = path.to_owned();
        }
        self
    }

    /// Where it is shown, if its route takes more than it does.
    pub(crate) fn shown_at(self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self }
    }

    /// More about it than its summary.
    pub(crate) fn about(self, about: &str) -> Self {
        Self { about: about.to_owned(), ..self }
    }

    /// Needs a key with this scope.
    pub(crate) fn needs(mut self, scope: Scope) -> Self {
        self.scopes.push(scope);
        self.refuses(401, &["unauthorized"])
            .refuses(403, &["forbidden"])
            .refuses(429, &["rate_limited"])
            .refuses(500, &["internal"])
            .refuses(503, &["unavailable"])
    }

    /// Takes a parameter in its query.
    pub(crate) fn query<T: JsonSchema>(self, name: &str, about: &str) -> Self {
        self.parameter(name, "query", about, Shape::of::<T>()).refuses(400, &["invalid_query"])
    }

    /// Takes a header.
    pub(crate) fn header(self, name: &str, about: &str, schema: Value) -> Self {
        self.parameter(name, "header", about, Shape::Written(schema))
    }

    /// Takes a parameter.
    pub(crate) fn parameter(mut self, name: &str, place: &'static str, about: &str, shape: Shape) -> Self {
        let (name, about) = (name.to_owned(), about.to_owned());
        self.parameters.push(Parameter { name, place, required: false, about, shape });
        self
    }

    /// Answers with a page of a list.
    pub(crate) fn pages(self) -> Self {
        self.pages_of(limits::PAGE_DEFAULT)
    }

    /// Answers with a page of a list, of this many things unless the client says.
    pub(crate) fn pages_of(self, default: usize) -> Self {
        let limit = json!({ "type": "integer", "minimum": 1, "maximum": limits::PAGE_MAX, "default": default });
        self.parameter("limit", "query", "How many there are on a page, at most.", Shape::Written(limit))
            .parameter(
                "cursor",
                "query",
                "The `next_cursor` of the page before.",
                Shape::Written(json!({ "type": "string" })),
            )
            .refuses(400, &["invalid_query", "invalid_limit", "invalid_cursor"])
    }

    /// Takes a body in JSON, whatever `Content-Type` says.
    pub(crate) fn takes<T: JsonSchema>(self, required: bool) -> Self {
        let content = vec![("application/json", Shape::of::<T>())];
        self.body(Body { required, about: "", content }).refuses(400, &["invalid_body"])
    }

    /// Takes a body of one of these media types.
    pub(crate) fn body(mut self, body: Body) -> Self {
        self.body = Some(body);
        self.refuses(400, &["unreadable_body"]).refuses(413, &["body_too_large"])
    }

    /// Answers with JSON.
    pub(crate) fn answers<T: JsonSchema>(self, status: u16, about: &str) -> Self {
        self.answers_with(status, about, "application/json", Shape::of::<T>())
    }

    /// Answers with a body of a media type.
    pub(crate) fn answers_with(mut self, status: u16, about: &str, media_type: &'static str, shape: Shape) -> Self {
        let body = Some((media_type, shape));
        self.answers.insert(status, Answer { about: about.to_owned(), body, ..Answer::default() });
        self
    }

    /// Answers without a body.
    pub(crate) fn done(mut self, status: u16, about: &str) -> Self {
        self.answers.insert(status, Answer { about: about.to_owned(), ..Answer::default() });
        self
    }

    /// The answer of a status has a header.
    pub(crate) fn with(mut self, status: u16, name: &'static str, about: &'static str) -> Self {
        self.answers.entry(status).or_default().headers.push((name, about));
        self
    }

    /// The answer of a status leads to these operations: it has the value of one of their parameters at a place, which
    /// is a runtime expression (OpenAPI 3.1.1, "Runtime Expressions").
    pub(crate) fn leads(
        self,
        status: u16,
        names: &[&'static str],
        parameter: &'static str,
        place: &'static str,
    ) -> Self {
        self.leads_with(status, names, &[(parameter, place)])
    }

    /// As [`leads`](Self::leads), with more than one parameter.
    pub(crate) fn leads_with(
        mut self,
        status: u16,
        names: &[&'static str],
        parameters: &[(&'static str, &'static str)],
    ) -> Self {
        let links = &mut self.answers.entry(status).or_default().links;
        links.extend(names.iter().map(|name| (*name, parameters.to_vec())));
        self
    }

    /// Is refused with a status and one of these codes.
    pub(crate) fn refuses(mut self, status: u16, codes: &[&'static str]) -> Self {
        self.answers.entry(status).or_default().codes.extend(codes);
        self
    }
}

/// The schema of an object that has all of these members.
pub(crate) fn object(members: Value) -> Value {
    let names: Vec<String> = members.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    json!({ "type": "object", "properties": members, "required": names })
}

/// The schema of a text.
pub(crate) fn text() -> Value {
    json!({ "type": "string" })
}

/// The schema of a text that may be missing.
pub(crate) fn perhaps_text() -> Value {
    json!({ "type": ["string", "null"] })
}

/// The schema of a number of things.
pub(crate) fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

/// The schema of one of these words.
pub(crate) fn word(words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words })
}

/// A list of things of this schema.
pub(crate) fn list(of: Value) -> Value {
    json!({ "type": "array", "items": of })
}
