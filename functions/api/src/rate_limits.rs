//! How often the clients of each API may ask: policies, parsed once from the environment.

use std::{collections::BTreeMap, fmt};

use penstock_store::rate::Rate;

/// The environment variable.
const VARIABLE: &str = "PENSTOCK_RATE_LIMITS";

/// Which requests a policy counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Requests {
    /// The requests that create an import.
    Imports,
    /// All requests.
    All,
}

/// Whose requests a policy counts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Per {
    /// The requests from one network address.
    Address,
    /// The requests of one account.
    Account,
}

/// A policy of one API: it counts some requests, per address or per account, and limits their rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Which requests it counts.
    pub requests: Requests,
    /// Whose requests it counts together.
    pub per: Per,
    /// How many requests pass, in which time.
    pub rate: Rate,
}

/// The policies of every API.
///
/// As text: entries `<api>.<imports|all>.<address|account>=<requests>/<seconds>` or `…=off`, separated by commas. They
/// replace the defaults of the APIs: `quotiza.imports.address=5/60, quotiza.all.address=off, algure.all.account=100/1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimits {
    rates: BTreeMap<Policy, Rate>,
}

/// The API's name, and what its policy counts.
type Policy = (&'static str, Requests, Per);

/// An API's name, and its policies by default.
pub(crate) type Defaults = (&'static str, &'static [RateLimit]);

/// The variable `PENSTOCK_RATE_LIMITS` is malformed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable {VARIABLE} is wrong")]
pub struct RateLimitsError(#[source] PolicyError);

/// An entry that is not a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not <api>.<imports|all>.<address|account>=<1 to 1000 requests>/<1 to 86400 seconds> or =off")]
pub(crate) struct PolicyError(String);

impl RateLimits {
    /// The policies of these APIs: their defaults, and the entries of `PENSTOCK_RATE_LIMITS`, if `lookup` knows that
    /// variable.
    ///
    /// # Errors
    /// The first entry that is not a policy of these APIs.
    pub(crate) fn from_vars(
        lookup: impl Fn(&str) -> Option<String>,
        apis: &[Defaults],
    ) -> Result<Self, RateLimitsError> {
        Self::parse(&lookup(VARIABLE).unwrap_or_default(), apis).map_err(RateLimitsError)
    }

    fn parse(text: &str, apis: &[Defaults]) -> Result<Self, PolicyError> {
        let policies = |(api, limits): &Defaults| {
            let api = *api;
            limits.iter().map(move |limit| ((api, limit.requests, limit.per), limit.rate))
        };
        let mut rates: BTreeMap<Policy, Rate> = apis.iter().flat_map(policies).collect();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let (policy, rate) = read(entry, apis).ok_or_else(|| PolicyError(entry.to_owned()))?;
            match rate {
                Some(rate) => rates.insert(policy, rate),
                None => rates.remove(&policy),
            };
        }
        Ok(Self { rates })
    }

    /// The policies of an API that count these requests: for each its name, whose requests it counts together, and its
    /// rate.
    pub fn of(&self, api: &str, requests: Requests) -> impl Iterator<Item = (String, Per, Rate)> {
        let ours = self.rates.iter().filter(move |((name, counted, _), _)| *name == api && *counted == requests);
        ours.map(|((api, requests, per), rate)| (format!("{api}.{requests}.{per}"), *per, *rate))
    }
}

fn read(entry: &str, apis: &[Defaults]) -> Option<(Policy, Option<Rate>)> {
    let (name, value) = entry.split_once('=')?;
    let mut parts = name.trim().split('.');
    let api = parts.next()?;
    let (api, _) = apis.iter().find(|(name, _)| *name == api)?;
    let requests = match parts.next()? {
        "imports" => Requests::Imports,
        "all" => Requests::All,
        _ => return None,
    };
    let per = match parts.next()? {
        "address" => Per::Address,
        "account" => Per::Account,
        _ => return None,
    };
    if parts.next().is_some() {
        return None;
    }
    let policy = (*api, requests, per);
    let value = value.trim();
    if value == "off" {
        return Some((policy, None));
    }
    let (limit, seconds) = value.split_once('/')?;
    let limit = limit.parse().ok().filter(|limit| (1..=1_000).contains(limit))?;
    let seconds = seconds.parse().ok().filter(|seconds| (1..=86_400).contains(seconds))?;
    Some((policy, Some(Rate { limit, seconds })))
}

impl fmt::Display for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Imports => "imports",
            Self::All => "all",
        })
    }
}

impl fmt::Display for Per {
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

    const FIVE_A_MINUTE: Rate = Rate { limit: 5, seconds: 60 };
    const APIS: [Defaults; 2] = [
        ("open", &[]),
        (
            "limited",
            &[
                RateLimit { requests: Requests::Imports, per: Per::Address, rate: FIVE_A_MINUTE },
                RateLimit { requests: Requests::All, per: Per::Account, rate: FIVE_A_MINUTE },
            ],
        ),
    ];

    fn names(limits: &RateLimits) -> Vec<String> {
        let of = |(api, _)| [Requests::Imports, Requests::All].into_iter().flat_map(move |which| limits.of(api, which));
        let shown = |(name, _, rate): (String, Per, Rate)| format!("{name}={}/{}", rate.limit, rate.seconds);
        APIS.into_iter().flat_map(of).map(shown).collect()
    }

    #[test]
    fn an_api_has_its_defaults_unless_told_otherwise() {
        for text in ["", " , "] {
            let limits = RateLimits::parse(text, &APIS).expect("valid");
            assert_eq!(names(&limits), ["limited.imports.address=5/60", "limited.all.account=5/60"]);
        }
    }

    #[test]
    fn entries_replace_the_defaults() {
        let limits = RateLimits::parse("limited.imports.address=off, open.all.account=100/1,", &APIS).expect("valid");
        assert_eq!(names(&limits), ["open.all.account=100/1", "limited.all.account=5/60"]);
    }

    #[test]
    fn an_entry_that_is_not_a_policy_is_named() {
        for bad in [
            "x",
            "other.all.address=1/1",
            "limited.all=1/1",
            "limited.all.address=0/60",
            "limited.all.address=5",
            "limited.all.address=5/0",
            "limited.all.address=1001/60",
            "limited.all.address.x=5/60",
        ] {
            let error = RateLimits::parse(bad, &APIS).expect_err(bad).to_string();
            assert!(error.contains(bad), "{error}");
        }
    }

    #[test]
    fn a_malformed_variable_is_named() {
        let lookup = |name: &str| (name == "PENSTOCK_RATE_LIMITS").then(|| "fast".to_owned());
        let error = RateLimits::from_vars(lookup, &APIS).expect_err("malformed");
        assert_eq!(error.to_string(), "the environment variable PENSTOCK_RATE_LIMITS is wrong");
    }
}
