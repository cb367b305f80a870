//! Which windows there are: configuration, parsed once.

use std::{collections::BTreeMap, fmt, str::FromStr};

/// What a window allows: so many requests in so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests, 1 to 1,000: their times share one item.
    pub limit: u32,
    /// The length of the window, 1 to 86,400 seconds.
    pub seconds: u32,
}

/// Which requests a policy counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// Those that ask for an import.
    Imports,
    /// All of an API.
    All,
}

/// By whom a policy counts requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whom {
    /// By network address.
    Address,
    /// By account.
    Account,
}

/// The APIs that policies can be about.
pub const API_NAMES: [&str; 6] = ["native", "algure", "productsmanager", "betterdata", "connectif", "quotiza"];

/// Every API's policies. The default is what Quotiza documents, and nothing for the others.
///
/// As text: `<api>.<imports|all>.<address|account>=<requests>/<seconds>` or `…=off`, separated by commas, over the defaults:
/// `quotiza.imports.address=5/60, quotiza.all.address=off, algure.all.account=100/1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimits {
    rates: BTreeMap<(&'static str, What, Whom), Rate>,
}

/// An entry that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not <api>.<imports|all>.<address|account>=<1 to 1000 requests>/<1 to 86400 seconds> or =off")]
pub struct PolicyError(String);

impl Default for RateLimits {
    fn default() -> Self {
        let rate = |limit| Rate { limit, seconds: 60 };
        let rates = [
            (("quotiza", What::Imports, Whom::Address), rate(5)),
            (("quotiza", What::Imports, Whom::Account), rate(5)),
            (("quotiza", What::All, Whom::Address), rate(10)),
        ];
        Self { rates: rates.into() }
    }
}

impl RateLimits {
    /// The policies of an API on these requests: a name for each, by whom it counts, and what it allows.
    pub fn of(&self, api: &str, what: What) -> impl Iterator<Item = (String, Whom, Rate)> {
        let ours = self.rates.iter().filter(move |((of, about, _), _)| *of == api && *about == what);
        ours.map(|((api, what, whom), rate)| (format!("{api}.{what}.{whom}"), *whom, *rate))
    }
}

impl FromStr for RateLimits {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        let mut limits = Self::default();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let (policy, rate) = read(entry).ok_or_else(|| PolicyError(entry.to_owned()))?;
            match rate {
                Some(rate) => limits.rates.insert(policy, rate),
                None => limits.rates.remove(&policy),
            };
        }
        Ok(limits)
    }
}

type Policy = (&'static str, What, Whom);

fn read(entry: &str) -> Option<(Policy, Option<Rate>)> {
    let (name, value) = entry.split_once('=')?;
    let mut parts = name.trim().split('.');
    let api = parts.next()?;
    let api = API_NAMES.into_iter().find(|name| *name == api)?;
    let what = match parts.next()? {
        "imports" => What::Imports,
        "all" => What::All,
        _ => return None,
    };
    let whom = match parts.next()? {
        "address" => Whom::Address,
        "account" => Whom::Account,
        _ => return None,
    };
    if parts.next().is_some() {
        return None;
    }
    let value = value.trim();
    if value == "off" {
        return Some(((api, what, whom), None));
    }
    let (limit, seconds) = value.split_once('/')?;
    let limit = limit.parse().ok().filter(|limit| (1..=1_000).contains(limit))?;
    let seconds = seconds.parse().ok().filter(|seconds| (1..=86_400).contains(seconds))?;
    Some(((api, what, whom), Some(Rate { limit, seconds })))
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Imports => "imports",
            Self::All => "all",
        })
    }
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "address",
            Self::Account => "account",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(limits: &RateLimits) -> Vec<String> {
        let of = |api| [What::Imports, What::All].into_iter().flat_map(move |what| limits.of(api, what));
        let shown = |(name, _, rate): (String, Whom, Rate)| format!("{name}={}/{}", rate.limit, rate.seconds);
        API_NAMES.into_iter().flat_map(of).map(shown).collect()
    }

    #[test]
    fn quotizas_are_on_by_default() {
        let wanted = ["quotiza.imports.address=5/60", "quotiza.imports.account=5/60", "quotiza.all.address=10/60"];
        assert_eq!(names(&RateLimits::default()), wanted);
        assert_eq!("".parse(), Ok(RateLimits::default()));
    }

    #[test]
    fn entries_go_over_the_defaults() {
        let limits: RateLimits = "quotiza.imports.address=off, algure.all.account=100/1,".parse().expect("valid");
        let wanted = ["algure.all.account=100/1", "quotiza.imports.account=5/60", "quotiza.all.address=10/60"];
        assert_eq!(names(&limits), wanted);
    }

    #[test]
    fn what_is_no_policy_is_named() {
        for bad in [
            "x",
            "other.all.address=1/1",
            "quotiza.all=1/1",
            "quotiza.all.address=0/60",
            "quotiza.all.address=5",
            "quotiza.all.address=5/0",
            "quotiza.all.address=1001/60",
            "quotiza.all.address.x=5/60",
        ] {
            let error = bad.parse::<RateLimits>().expect_err(bad).to_string();
            assert!(error.contains(bad), "{error}");
        }
    }
}
