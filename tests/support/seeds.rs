//! Schedules that are drawn from a seed: some in the ordinary run, as many as somebody wants in a longer one.

/// One test for each seed of the ordinary run, so that they run side by side; each calls `holds` beside it.
#[macro_export]
macro_rules! seeds {
    ($($name:ident: $seed:literal),* $(,)?) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            holds($seed).await;
        })*
    };
}

/// Runs the seeds that a variable names, such as `1000..1200`, one after the other; without it the `usual` ones.
pub async fn each(variable: &str, usual: &str, what: &str, holds: impl AsyncFn(u64)) {
    let range = std::env::var(variable).unwrap_or_else(|_| usual.to_owned());
    let (first, end) = range.split_once("..").expect("FIRST..END");
    let seeds = first.parse::<u64>().expect("a number")..end.parse().expect("a number");
    let mut run = 0;
    for seed in seeds {
        holds(seed).await;
        run += 1;
    }
    println!("{run} {what} without a deviation");
}
