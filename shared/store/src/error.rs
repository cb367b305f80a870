//! What can go wrong between a function and a service.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// A call's result.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// A call that did not do what it says. Its message is for operators: it names the call, never a cell, a body or a
/// credential.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A service refused, throttled or did not answer, after the client's own retries. The call may have had its
    /// effect; it can be repeated.
    #[error("{call}: {reason}")]
    Unavailable {
        /// The service's operation, such as `dynamodb:GetItem`.
        call: &'static str,
        /// The service's error code, or how the connection failed.
        reason: String,
    },
    /// What was stored is not what this version writes.
    #[error("{what} cannot be read")]
    Unreadable {
        /// What was read.
        what: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The work was not done in the time that it had.
    #[error("{0} took longer than the time that it had")]
    OutOfTime(&'static str),
    /// The accepted object has been removed or replaced.
    #[error("the uploaded object is no longer there")]
    ObjectGone,
    /// A message cannot be written, or is no order that its reader takes.
    #[error(transparent)]
    Message(#[from] penstock_model::MessageError),
}

impl StoreError {
    /// What a failed SDK call becomes: its code, or the kind of its failure.
    pub(crate) fn unavailable<E, R>(call: &'static str) -> impl Fn(SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata,
    {
        move |error| {
            let reason = match &error {
                SdkError::ServiceError(service) => service.err().code().unwrap_or("service error").to_owned(),
                SdkError::TimeoutError(_) => "no answer in time".to_owned(),
                SdkError::DispatchFailure(failure) if failure.is_timeout() => "no connection in time".to_owned(),
                SdkError::DispatchFailure(_) => "the connection failed".to_owned(),
                SdkError::ResponseError(_) => "the answer cannot be read".to_owned(),
                _ => "the request cannot be built".to_owned(),
            };
            Self::Unavailable { call, reason }
        }
    }

    pub(crate) fn unreadable<E>(what: &'static str) -> impl FnOnce(E) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        move |source| Self::Unreadable { what, source: source.into() }
    }
}
