//! What each API of this host declares of itself: the native API and every dialect is a value of one type.

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::Response,
};
use penstock_engine::kinds;
use penstock_model::{AccountId, Import, ImportId, KindName};
use penstock_store::Store;
use serde_json::Value;

use crate::{rate_limits::RateLimit, refusal::Refusal};

/// An API that this host speaks: the native one or a dialect. The table of them is [`crate::DIALECTS`].
#[derive(Debug)]
pub struct Dialect {
    /// The name by which rate limits and logs know it, in lower-case letters.
    pub name: &'static str,
    /// The paths under which it answers, each a number of whole segments. The longest base that a path falls under
    /// decides; `/` is every path's.
    pub bases: &'static [&'static str],
    /// The bundled kinds that it imports and shows; `None` where the client names the kind.
    pub kinds: Option<&'static [&'static str]>,
    /// Its rate limits by default.
    pub rate_limits: &'static [RateLimit],
    /// Its limits, as the documentation prints them.
    pub limits: &'static [Limit],
    /// The media type of its errors.
    pub(crate) media_type: &'static str,
    /// The body of an error in its form.
    pub(crate) error: fn(&Refusal) -> Value,
    /// The refusal of an id that is no import's.
    pub(crate) missing: fn() -> Refusal,
}

/// A limit of a dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The name by which the documentation refers to it, such as `ALGURE_FEED_BYTES`.
    pub name: &'static str,
    /// The greatest value that is taken.
    pub value: u64,
    /// The unit of the value, such as `bytes`; empty for a number of things that the documentation names otherwise.
    pub unit: &'static str,
}

/// The media type of JSON.
pub(crate) const JSON: &str = "application/json";

impl Dialect {
    /// The one of these dialects that answers a path: the one with the longest base that the path falls under.
    pub(crate) fn of<'d>(path: &str, dialects: &[&'d Self]) -> Option<&'d Self> {
        let bases = dialects.iter().flat_map(|dialect| dialect.bases.iter().map(move |base| (*dialect, *base)));
        let found = bases.filter(|(_, base)| is_under(path, base)).max_by_key(|(_, base)| base.len());
        found.map(|(dialect, _)| dialect)
    }

    /// The account's import of this id, if its kind is one that the dialect shows. `None` stands for a text that is no
    /// id.
    ///
    /// # Errors
    /// The dialect's refusal of a missing import. An import of another account, or of a kind that the dialect does not
    /// show, looks the same.
    pub(crate) async fn find(
        &self,
        store: &Store,
        account: &AccountId,
        id: Option<&ImportId>,
    ) -> Result<Import, Refusal> {
        let import = match id {
            Some(id) => store.import(account, id).await?,
            None => None,
        };
        let is_shown = |import: &Import| self.kinds.is_none_or(|kinds| kinds.contains(&import.kind.as_str()));
        import.filter(is_shown).ok_or_else(self.missing)
    }

    /// Gives a response that is an error the form of this dialect's errors. Any other response stays as it is.
    pub(crate) fn form(&self, response: Response) -> Response {
        let status = response.status();
        if !status.is_client_error() && !status.is_server_error() {
            return response;
        }
        let (mut parts, _) = response.into_parts();
        let refusal = parts.extensions.remove::<Refusal>().unwrap_or_else(|| Refusal::of_status(status));
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.media_type));
        parts.headers.extend(refusal.headers());
        Response::from_parts(parts, Body::from((self.error)(&refusal).to_string()))
    }
}

/// Whether the first segments of a path are those of a base.
fn is_under(path: &str, base: &str) -> bool {
    let mut segments = path.trim_start_matches('/').split('/');
    base.split('/').filter(|segment| !segment.is_empty()).all(|segment| segments.next() == Some(segment))
}

/// The name of a bundled kind that a dialect imports.
pub(crate) fn bundled_kind(name: &str) -> KindName {
    let kind: Option<KindName> = name.parse().ok();
    kind.filter(|kind| kinds::bundled(kind).is_some()).expect("the kinds of the table's dialects are bundled")
}

/// The kinds of a dialect that has a word of its own for each: of the pairs, word and kind, the kinds.
pub(crate) const fn kinds_of<const N: usize>(pairs: [(&'static str, &'static str); N]) -> [&'static str; N] {
    let (mut kinds, mut at) = ([""; N], 0);
    while at < N {
        kinds[at] = pairs[at].1;
        at += 1;
    }
    kinds
}
