//! The `notify` function's bootstrap.

// The layout of the SDK's nested futures is deeper than the compiler's default allows.
#![recursion_limit = "256"]

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    penstock_notify::serve().await
}
