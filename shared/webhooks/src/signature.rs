//! Signatures: those of Standard Webhooks ("Signature scheme" and "Webhook headers" in
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>), and that of
//! ProductsManager's documents.
//!
//! What is signed is `<id>.<seconds>.<body>`. While a secret is being replaced, the old and the new one both sign, and
//! a receiver takes a request if one of its secrets made one of the signatures.

use std::{fmt, str::FromStr};

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue};
use penstock_model::limits::{WEBHOOK_SECRET_BYTES, WEBHOOK_SECRET_LEAST_BYTES, WEBHOOK_TOLERANCE_SECONDS};
use ring::{
    hmac,
    rand::{SecureRandom, SystemRandom},
    signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey},
};

/// The header with the id of what is sent, which stays the same over all attempts.
pub const ID: HeaderName = HeaderName::from_static("webhook-id");

/// The header with the time of the attempt, in seconds since 1970.
pub const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");

/// The header with the signatures, a space between two.
pub const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// The header with the signature in the style of ProductsManager.
pub const PM_SIGNATURE: HeaderName = HeaderName::from_static("x-pm-signature");

const SYMMETRIC: &str = "whsec_";
const PRIVATE: &str = "whsk_";
const PUBLIC: &str = "whpk_";

/// Bytes of a secret that is made here.
const MADE_BYTES: usize = 32;

/// Bytes of an ed25519 seed, and of a public key.
const ED25519_BYTES: usize = 32;

/// What signs: the secret of a webhook. Nothing shows it but [`expose`](Self::expose).
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Kind);

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    /// `v1`: HMAC-SHA256.
    Symmetric(Vec<u8>),
    /// `v1a`: ed25519, by its seed and its public key.
    Private([u8; 2 * ED25519_BYTES]),
}

/// Why a text is no secret. It does not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// It does not begin as one.
    #[error("a secret begins with whsec_ (HMAC-SHA256) or whsk_ (ed25519)")]
    Prefix,
    /// It does not begin as the key of a receiver.
    #[error("the key of a receiver begins with whsec_ (HMAC-SHA256) or whpk_ (ed25519)")]
    VerifyPrefix,
    /// What follows is no base64.
    #[error("what follows the prefix of a secret is standard base64 with its padding")]
    Base64,
    /// It is too short or too long.
    #[error(
        "the secret has {bytes} bytes; one of whsec_ has {WEBHOOK_SECRET_LEAST_BYTES} to {WEBHOOK_SECRET_BYTES}, \
        one of whsk_ 64, one of whpk_ 32"
    )]
    Bytes {
        /// Its bytes.
        bytes: usize,
    },
    /// Its halves do not belong together.
    #[error("the public key in the secret is not that of its private key")]
    Halves,
}

impl Secret {
    /// A new secret for HMAC-SHA256, of 32 random bytes.
    pub fn random() -> Self {
        Self(Kind::Symmetric(random::<MADE_BYTES>().to_vec()))
    }

    /// A new key pair of ed25519.
    pub fn random_asymmetric() -> Self {
        let seed = random::<ED25519_BYTES>();
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("a seed is of 32 bytes");
        let mut both = [0; 2 * ED25519_BYTES];
        both[..ED25519_BYTES].copy_from_slice(&seed);
        both[ED25519_BYTES..].copy_from_slice(pair.public_key().as_ref());
        Self(Kind::Private(both))
    }

    /// The secret as text: `whsec_…` or `whsk_…`.
    pub fn expose(&self) -> String {
        match &self.0 {
            Kind::Symmetric(bytes) => format!("{SYMMETRIC}{}", BASE64_STANDARD.encode(bytes)),
            Kind::Private(both) => format!("{PRIVATE}{}", BASE64_STANDARD.encode(both)),
        }
    }

    /// What its receiver verifies with: the secret itself, or of a key pair the public key.
    pub fn verifies(&self) -> VerifyKey {
        match &self.0 {
            Kind::Symmetric(bytes) => VerifyKey::Symmetric(bytes.clone()),
            Kind::Private(both) => {
                let mut public = [0; ED25519_BYTES];
                public.copy_from_slice(&both[ED25519_BYTES..]);
                VerifyKey::Public(public)
            }
        }
    }

    /// The signature of what is sent, with its version: `v1,…` or `v1a,…`.
    ///
    /// `id` must not hold a point, so that what is signed has one reading.
    pub fn sign(&self, id: &str, unix_seconds: i64, body: &[u8]) -> String {
        let signed = signed(id, &unix_seconds.to_string(), body);
        match &self.0 {
            Kind::Symmetric(bytes) => {
                let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, bytes), &signed);
                format!("v1,{}", BASE64_STANDARD.encode(tag))
            }
            Kind::Private(both) => {
                let pair = Ed25519KeyPair::from_seed_unchecked(&both[..ED25519_BYTES]).expect("a seed is of 32 bytes");
                format!("v1a,{}", BASE64_STANDARD.encode(pair.sign(&signed)))
            }
        }
    }
}

/// Without the secret.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Symmetric(_) => "Secret(whsec_…)",
            Kind::Private(_) => "Secret(whsk_…)",
        })
    }
}

impl FromStr for Secret {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        if let Some(rest) = text.strip_prefix(SYMMETRIC) {
            return symmetric(rest).map(|bytes| Self(Kind::Symmetric(bytes)));
        }
        let bytes = decoded(text.strip_prefix(PRIVATE).ok_or(SecretError::Prefix)?)?;
        let both: [u8; 2 * ED25519_BYTES] =
            bytes.try_into().map_err(|bytes: Vec<u8>| SecretError::Bytes { bytes: bytes.len() })?;
        let (seed, public) = both.split_at(ED25519_BYTES);
        Ed25519KeyPair::from_seed_and_public_key(seed, public).map_err(|_| SecretError::Halves)?;
        Ok(Self(Kind::Private(both)))
    }
}

/// What a receiver verifies with.
#[derive(Clone, PartialEq, Eq)]
pub enum VerifyKey {
    /// The secret of HMAC-SHA256.
    Symmetric(Vec<u8>),
    /// The public key of ed25519, which is no secret.
    Public([u8; ED25519_BYTES]),
}

impl VerifyKey {
    /// The key as text: `whsec_…` or `whpk_…`.
    pub fn expose(&self) -> String {
        match self {
            Self::Symmetric(bytes) => format!("{SYMMETRIC}{}", BASE64_STANDARD.encode(bytes)),
            Self::Public(bytes) => format!("{PUBLIC}{}", BASE64_STANDARD.encode(bytes)),
        }
    }

    /// Whether this key's secret made a signature, which is given with its version.
    fn made(&self, signature: &str, signed: &[u8]) -> bool {
        let Some((version, signature)) = signature.split_once(',') else { return false };
        let Ok(signature) = BASE64_STANDARD.decode(signature) else { return false };
        match (self, version) {
            (Self::Symmetric(bytes), "v1") => {
                hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, bytes), signed, &signature).is_ok()
            }
            (Self::Public(bytes), "v1a") => UnparsedPublicKey::new(&ED25519, bytes).verify(signed, &signature).is_ok(),
            _ => false,
        }
    }
}

/// Without the secret.
impl fmt::Debug for VerifyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Symmetric(_) => f.write_str("VerifyKey(whsec_…)"),
            Self::Public(_) => write!(f, "VerifyKey({})", self.expose()),
        }
    }
}

impl FromStr for VerifyKey {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        if let Some(rest) = text.strip_prefix(SYMMETRIC) {
            return symmetric(rest).map(Self::Symmetric);
        }
        let bytes = decoded(text.strip_prefix(PUBLIC).ok_or(SecretError::VerifyPrefix)?)?;
        let public = bytes.try_into().map_err(|bytes: Vec<u8>| SecretError::Bytes { bytes: bytes.len() })?;
        Ok(Self::Public(public))
    }
}

/// The headers of an attempt by Standard Webhooks: id, time, and a signature of each secret in their order.
///
/// # Panics
/// `id` holds what no header can.
pub fn standard<'a>(
    secrets: impl IntoIterator<Item = &'a Secret>,
    id: &str,
    unix_seconds: i64,
    body: &[u8],
) -> HeaderMap {
    let signatures: Vec<String> = secrets.into_iter().map(|secret| secret.sign(id, unix_seconds, body)).collect();
    let value = |text: &str| HeaderValue::from_str(text).expect("ids, numbers and base64 are printable ASCII");
    HeaderMap::from_iter([
        (ID, value(id)),
        (TIMESTAMP, HeaderValue::from(unix_seconds)),
        (SIGNATURE, value(&signatures.join(" "))),
    ])
}

/// The header of an attempt in the style of ProductsManager: `sha256=` and the HMAC-SHA256 of the body, in hexadecimal
/// digits. The key is the secret's whole text, `whsec_…`: whoever verifies by hand takes it as it is shown.
///
/// Its receiver cannot tell an old request from a new one, and takes one secret: the newest.
pub fn productsmanager(secret: &Secret, body: &[u8]) -> HeaderMap {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let digits: String = hmac::sign(&key, body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let value = HeaderValue::from_str(&format!("sha256={digits}")).expect("digits are printable ASCII");
    HeaderMap::from_iter([(PM_SIGNATURE, value)])
}

/// Why a request is not one of those who have the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// A header is missing, or is not what it has to be.
    #[error("the header {0} is missing or malformed")]
    Header(&'static str),
    /// It was signed long ago, or by a clock that is fast.
    #[error("the request was signed {seconds} s from now, the limit is {WEBHOOK_TOLERANCE_SECONDS} s")]
    Time {
        /// How far its time is from now.
        seconds: u64,
    },
    /// None of the keys belongs to a signature of it.
    #[error("no signature of the request is of a known secret")]
    Signature,
}

/// Verifies a request by Standard Webhooks: one of the keys has made one of its signatures, within
/// [`WEBHOOK_TOLERANCE_SECONDS`] of now. A repeat of a request within that time verifies as well: its id tells it.
///
/// # Errors
/// [`VerifyError`]
pub fn verify(keys: &[VerifyKey], headers: &HeaderMap, body: &[u8], now_seconds: i64) -> Result<(), VerifyError> {
    let header = |name: &HeaderName, shown| {
        headers.get(name).and_then(|value| value.to_str().ok()).ok_or(VerifyError::Header(shown))
    };
    let id = header(&ID, "webhook-id")?;
    let timestamp = header(&TIMESTAMP, "webhook-timestamp")?;
    let signatures = header(&SIGNATURE, "webhook-signature")?;
    let at: i64 = timestamp.parse().map_err(|_| VerifyError::Header("webhook-timestamp"))?;
    let seconds = at.abs_diff(now_seconds);
    if seconds > WEBHOOK_TOLERANCE_SECONDS {
        return Err(VerifyError::Time { seconds });
    }
    let signed = signed(id, timestamp, body);
    let is_made = |signature: &str| keys.iter().any(|key| key.made(signature, &signed));
    if signatures.split(' ').any(is_made) { Ok(()) } else { Err(VerifyError::Signature) }
}

fn signed(id: &str, timestamp: &str, body: &[u8]) -> Vec<u8> {
    [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat()
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the system has random bytes");
    bytes
}

fn decoded(text: &str) -> Result<Vec<u8>, SecretError> {
    BASE64_STANDARD.decode(text).map_err(|_| SecretError::Base64)
}

fn symmetric(text: &str) -> Result<Vec<u8>, SecretError> {
    let bytes = decoded(text)?;
    if (WEBHOOK_SECRET_LEAST_BYTES..=WEBHOOK_SECRET_BYTES).contains(&bytes.len()) {
        Ok(bytes)
    } else {
        Err(SecretError::Bytes { bytes: bytes.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    const PAIR: &str = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
    const PUBLIC_KEY: &str = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";

    fn secret(text: &str) -> Secret {
        text.parse().expect("a secret")
    }

    /// Of the specification's library in Rust.
    #[test]
    fn v1_is_that_of_the_specification() {
        let body = br#"{"email":"test@example.com","username":"test_user"}"#;
        let signature = secret(SECRET).sign("msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1_649_367_553, body);
        assert_eq!(signature, "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");
    }

    /// The signature that the specification shows, and the key and the body of it in Svix's own test.
    #[test]
    fn v1a_is_that_of_the_specification() {
        let signature = secret(PAIR).sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        let wanted = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";
        assert_eq!(signature, wanted);
        assert_eq!(secret(PAIR).verifies().expose(), PUBLIC_KEY);
    }

    #[test]
    fn a_request_verifies_with_any_of_its_secrets_within_five_minutes() {
        let (old, new, pair) = (Secret::random(), Secret::random(), Secret::random_asymmetric());
        let body = "{\"a\":\"\u{fc}\"}".as_bytes();
        let headers = standard([&new, &old, &pair], "evt_1", 1_000_000, body);
        for secret in [&old, &new, &pair] {
            let key = [secret.verifies()];
            assert_eq!(verify(&key, &headers, body, 1_000_300), Ok(()));
            assert_eq!(verify(&key, &headers, body, 999_700), Ok(()));
            assert_eq!(verify(&key, &headers, body, 1_000_301), Err(VerifyError::Time { seconds: 301 }));
            assert_eq!(verify(&key, &headers, body, 999_699), Err(VerifyError::Time { seconds: 301 }));
            assert_eq!(verify(&key, &headers, b"{}", 1_000_000), Err(VerifyError::Signature));
            assert_eq!(verify(&[], &headers, body, 1_000_000), Err(VerifyError::Signature));
        }
        let strangers = [Secret::random().verifies(), Secret::random_asymmetric().verifies()];
        assert_eq!(verify(&strangers, &headers, body, 1_000_000), Err(VerifyError::Signature));
        for (name, value) in [(ID, "evt_2"), (TIMESTAMP, "1000001")] {
            let mut other = headers.clone();
            other.insert(name, HeaderValue::from_static(value));
            assert_eq!(verify(&[new.verifies()], &other, body, 1_000_000), Err(VerifyError::Signature));
        }
        for name in [ID, TIMESTAMP, SIGNATURE] {
            let mut other = headers.clone();
            other.remove(&name);
            let error = verify(&[new.verifies()], &other, body, 1_000_000).expect_err("a header is missing");
            assert!(error.to_string().contains(name.as_str()), "{error}");
        }
    }

    #[test]
    fn a_signature_of_another_version_or_form_is_none() {
        let secret = secret(SECRET);
        let signature = secret.sign("evt_1", 1, b"{}");
        for (value, verifies) in [
            (signature.clone(), true),
            (format!("v9,x {signature}"), true),
            (signature.replacen("v1,", "v1a,", 1), false),
            (signature.replacen("v1,", "", 1), false),
            (signature.trim_end_matches('=').to_owned(), false),
            (String::new(), false),
        ] {
            let mut headers = standard([&secret], "evt_1", 1, b"{}");
            headers.insert(SIGNATURE, HeaderValue::from_str(&value).expect("ASCII"));
            assert_eq!(verify(&[secret.verifies()], &headers, b"{}", 1).is_ok(), verifies, "{value}");
        }
    }

    #[test]
    fn a_secret_is_written_as_it_is_read_and_never_shown() {
        for made in [Secret::random(), Secret::random_asymmetric(), secret(SECRET), secret(PAIR)] {
            let text = made.expose();
            assert_eq!(secret(&text), made);
            let (shown, verifies) = (format!("{made:?}"), format!("{:?}", made.verifies()));
            assert!(!shown.contains(&text[8..]) && !verifies.contains(&text[8..]), "{shown} {verifies}");
            assert_eq!(made.verifies().expose().parse(), Ok(made.verifies()));
        }
        assert_ne!(Secret::random(), Secret::random());
        let of = |bytes: usize| format!("whsec_{}", BASE64_STANDARD.encode(vec![1; bytes])).parse::<Secret>();
        assert!(of(24).is_ok() && of(64).is_ok());
        assert_eq!(of(23), Err(SecretError::Bytes { bytes: 23 }));
        assert_eq!(of(65), Err(SecretError::Bytes { bytes: 65 }));
        for (text, error) in [
            ("", SecretError::Prefix),
            ("whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=", SecretError::Prefix),
            ("whsec_%", SecretError::Base64),
            ("whsk_AAAA", SecretError::Bytes { bytes: 3 }),
            (&PAIR.replace("lX0dR", "laaaa"), SecretError::Halves),
        ] {
            assert_eq!(text.parse::<Secret>(), Err(error), "{text}");
        }
        assert_eq!(PAIR.parse::<VerifyKey>(), Err(SecretError::VerifyPrefix));
    }

    /// What `openssl dgst -sha256 -hmac whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD` says of the body.
    #[test]
    fn productsmanagers_signature_is_of_the_body_with_the_text_of_the_secret() {
        let headers = productsmanager(&secret(SECRET), b"{\"a\":1}");
        let wanted = "sha256=03048224d6df6ae681e2c17f2cbc069167fbe9f7d79b487d5a213faad40300a2";
        assert_eq!(headers[PM_SIGNATURE], wanted);
    }
}
