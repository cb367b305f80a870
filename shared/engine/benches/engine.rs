//! How long each step of the engine takes, beside what others take for the same files; 20,000 rows of products.

mod work;

use criterion::{Criterion, criterion_group, criterion_main};

const ROWS: u64 = 20_000;

fn engine(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("engine");
    group.sample_size(20);
    for name in work::NAMES {
        let mut run = None;
        group.bench_function(name, |bencher| bencher.iter(run.get_or_insert_with(|| work::prepare(name, ROWS))));
    }
    group.finish();
}

criterion_group!(benches, engine);
criterion_main!(benches);
