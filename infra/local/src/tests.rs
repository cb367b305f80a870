//! The services against the AWS SDKs and plain HTTP, without child processes: the tests play the functions' part.
#![allow(clippy::unwrap_used)]

mod lambda;
mod proxy;
mod queue;
mod rig;
mod s3;
mod sqs;
mod usage;
