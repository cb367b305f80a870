"""The arithmetic of the simulation: python3 -B -m unittest discover infra/scale"""

import dataclasses
import json
import unittest

import simulate
from simulate import Row, Setting

LIMITS = {name: limit["value"] for name, limit in json.loads((simulate.HERE / "limits.json").read_text())["limits"].items()}
# A row for which nothing but what a test changes is ever short.
FREE = Row(bytes=1, split_seconds=1e-9, validate_seconds=1e-9, writes=1e-9, reads=1e-9, error_writes=0, dollars=0)
SHARDS = simulate.shards_of("RECORD_SHARDS")
# What a kind reaches of a new table.
OF_FOUR = simulate.reached(SHARDS, 4)
PLENTY = Setting(validators=1000, warm_writes=4000, warm_reads=12000)


def of(**changes):
    return dataclasses.replace(FREE, **changes)


class Arithmetic(unittest.TestCase):
    def test_each_resource_binds_alone_at_its_own_rate(self):
        for row, setting, what, seconds in [
            (of(split_seconds=1e-4), PLENTY, "splitter", 100),
            (of(bytes=8500), PLENTY, "splitter", 100),
            (of(validate_seconds=1e-3), Setting(5, 4000, 12000), "validators", 200),
            (of(writes=1.0), PLENTY, "table writes", 250 / OF_FOUR),
            (of(reads=2.0), PLENTY, "table reads", 1_000_000 * 2 / 12_000 / OF_FOUR),
            (of(error_writes=0.2), PLENTY, "errors' partitions", 50 / simulate.reached(simulate.ERROR_SHARDS, 4)),
        ]:
            prediction = simulate.simulate(1_000_000, row, setting, LIMITS, SHARDS)
            self.assertEqual(prediction.bottleneck(), what)
            self.assertAlmostEqual(prediction.seconds, seconds, delta=seconds * 0.02 + 1)

    def test_a_table_doubles_each_half_hour_up_to_the_quota(self):
        at = lambda minutes: simulate.table_at(minutes * 60, 4000, LIMITS)
        self.assertEqual([at(0), at(29), at(30), at(60), at(90), at(120), at(600)], [4000, 4000, 8000, 16000, 32000, 40000, 40000])
        self.assertEqual(simulate.table_at(0, 100_000, LIMITS), 100_000)
        # Half an hour at each rate, of which a kind reaches its share, and the rest of 100 million at the quota.
        left, half_hours = 100e6, 0
        while (part := 1800 * self.rate(half_hours)) < left:
            left, half_hours = left - part, half_hours + 1
        prediction = simulate.simulate(100_000_000, of(writes=1.0), PLENTY, LIMITS, SHARDS)
        self.assertAlmostEqual(prediction.seconds, 1800 * half_hours + left / self.rate(half_hours), delta=5)

    def rate(self, half_hours):
        """Rows a second of a kind whose rows take a unit each."""
        units = simulate.table_at(1800 * half_hours, 4000, LIMITS)
        return units * simulate.reached(SHARDS, max(units // 1000, -(-simulate.table_at(1800 * half_hours, 12000, LIMITS) // 3000)))

    def test_more_shards_reach_more_of_a_table_and_more_partitions_are_reached_less(self):
        self.assertEqual([simulate.reached(256, 1), simulate.reached(1, 4)], [1, 0.25])
        shares = [[simulate.reached(shards, partitions) for partitions in simulate.PARTITIONS] for shards in simulate.SHARDS]
        self.assertEqual([[round(share * 100) for share in row] for row in shares], [[94, 85, 69], [89, 74, 52], [80, 57, 34]])
        self.assertIn(SHARDS, simulate.SHARDS)

    def test_validators_grow_as_lambda_polls_and_no_further_than_they_may(self):
        at = lambda second, most: simulate.validators_at(second, Setting(most, 1, 1), LIMITS)
        self.assertEqual([at(0, 100), at(1, 100), at(60, 1000), at(3600, 1000), at(3600, 50)], [5, 10, 305, 1000, 50])
        self.assertEqual(at(1e6, 5000), LIMITS["lambda_account_concurrency"])

    def test_time_is_accounted_for_whole_and_more_rows_never_take_less(self):
        row = of(split_seconds=2e-6, validate_seconds=2e-4, writes=1.0, reads=1.0, bytes=260)
        before = 0
        for millions in (1, 2, 10, 50):
            prediction = simulate.simulate(millions * 1_000_000, row, PLENTY, LIMITS, SHARDS)
            self.assertAlmostEqual(sum(prediction.bound_seconds.values()), prediction.seconds, places=3)
            self.assertAlmostEqual(prediction.busy_seconds, millions * 200, places=3)
            self.assertGreaterEqual(prediction.held_seconds, prediction.busy_seconds - 1e-6)
            self.assertGreater(prediction.seconds, before)
            before = prediction.seconds

    def test_rows_that_write_nothing_are_not_held_up_by_writes(self):
        prediction = simulate.simulate(1_000_000, of(writes=0.0, reads=0.0, split_seconds=1e-5), PLENTY, LIMITS, SHARDS)
        self.assertEqual(prediction.bound_seconds["table writes"], 0)
        self.assertAlmostEqual(prediction.seconds, 10, delta=1.1)

    def test_rows_that_are_dropped_go_as_fast_as_they_are_split(self):
        prediction = simulate.simulate(1_000_000, of(split_seconds=1e-5, validate_seconds=0, writes=0, reads=0), PLENTY, LIMITS, SHARDS)
        self.assertEqual((prediction.bottleneck(), prediction.busy_seconds), ("splitter", 0))
        self.assertAlmostEqual(prediction.seconds, 10, delta=1)

    def test_the_least_setting_is_enough_and_a_smaller_one_is_not(self):
        row, rows = of(writes=1.0, validate_seconds=2e-4), 1_000_000
        least = simulate.least_setting(rows, row, 120, LIMITS, SHARDS)
        takes = lambda **changes: simulate.simulate(rows, row, dataclasses.replace(least, **changes), LIMITS, SHARDS).seconds
        self.assertLessEqual(takes(), 120)
        self.assertGreater(takes(warm_writes=least.warm_writes - 500), 120)
        self.assertGreater(takes(validators=least.validators - 1), 120)
        self.assertIsNone(simulate.least_setting(rows, row, 1, LIMITS, SHARDS))

    def test_the_document_is_what_was_measured(self):
        read = lambda path: json.loads(path.read_text())
        files = simulate.COST / "measured.json", simulate.COST / "prices.json", simulate.HERE / "limits.json"
        self.assertEqual(simulate.document(*map(read, files)), (simulate.HERE / "SCALE.md").read_text())

    def test_a_run_becomes_what_a_row_needs(self):
        used = lambda **of: {"service": "", "name": "", "function": "", "resource": "", "milliseconds": 0, "write_units": 0, "read_units": 0, **of}
        run = {
            "rows": 1000,
            "bytes": 260_000,
            "usage": [
                used(service="lambda", function="split", milliseconds=10),
                used(service="lambda", function="validate", milliseconds=300),
                used(service="dynamodb", resource="penstock-records", write_units=1100.0),
                used(service="dynamodb", resource="penstock-records", read_units=1000.0),
                used(service="dynamodb", name="PutItem", resource="penstock-imports", write_units=50.0),
                used(service="dynamodb", name="UpdateItem", resource="penstock-imports", write_units=70.0),
            ],
            "dollars_per_million": {"dynamodb_writes": 0.7, "lambda_compute": 9.0, "sqs": 0.1},
        }
        row = simulate.row_of(run)
        self.assertEqual((row.bytes, row.split_seconds, row.validate_seconds), (260, 1e-5, 3e-4))
        self.assertEqual((row.writes, row.reads, row.error_writes), (1.1, 1.0, 0.05))
        self.assertAlmostEqual(row.dollars, 0.8e-6)

    def test_dollars_add_the_functions_time_to_the_rest(self):
        row = of(split_seconds=1e-6, dollars=1e-6)
        prediction = simulate.Prediction(1, {}, busy_seconds=100, held_seconds=300)
        prices = {"lambda_gb_second": {"dollars": 0.01, "per": 1}}
        least, most = simulate.dollars(1_000_000, row, prediction, prices, {"validate": 1024, "split": 512})
        self.assertAlmostEqual(least, 1 + 1 * 0.01 / 2 + 1.0)
        self.assertAlmostEqual(most, 1 + 1 * 0.01 / 2 + 3.0)


if __name__ == "__main__":
    unittest.main()
