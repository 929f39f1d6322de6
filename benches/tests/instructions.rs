//! How counted instructions are compared with the recorded ones. Here, because a benchmark has no test
//! harness of its own.

#[path = "../benches/instructions/record.rs"]
mod record;

use record::Record;

fn record(counts: &[(&str, u64)]) -> Record {
    let instructions = counts.iter().map(|&(name, count)| (name.to_owned(), count)).collect();
    Record { rustc: "1.95.0".into(), instructions }
}

fn complaints(recorded: &[(&str, u64)], counted: &[(&str, u64)]) -> String {
    record(recorded).compare(&record(counted)).complaints()
}

#[test]
fn up_to_five_per_cent_is_no_change() {
    for counted in [950, 1000, 1050] {
        assert_eq!(complaints(&[("a", 1000)], &[("a", counted)]), "");
    }
}

#[test]
fn more_fails_and_so_does_less() {
    let dearer = complaints(&[("a", 1000), ("b", 7)], &[("a", 1051), ("b", 7)]);
    assert!(dearer.starts_with("a: became dearer") && dearer.contains("+5.1 %"), "{dearer}");
    let cheaper = complaints(&[("a", 1000)], &[("a", 949)]);
    assert!(cheaper.starts_with("a: became cheaper") && cheaper.contains("-5.1 %"), "{cheaper}");
}

#[test]
fn a_path_that_only_one_side_has_fails() {
    assert!(complaints(&[], &[("a", 1)]).starts_with("a: is not recorded"));
    assert!(complaints(&[("a", 1)], &[]).starts_with("a: is recorded and"));
    assert!(complaints(&[("a", 0)], &[("a", 1)]).starts_with("a: became dearer"));
}

#[test]
fn another_compiler_is_named_where_counts_differ() {
    let (old, mut new) = (record(&[("a", 100)]), record(&[("a", 110)]));
    assert!(!old.compare(&new).complaints().contains("rustc"));
    new.rustc = "1.96.0".into();
    assert!(old.compare(&new).complaints().contains("of rustc 1.95.0 and this is rustc 1.96.0"));
    new.instructions = old.instructions.clone();
    assert_eq!(old.compare(&new).complaints(), "");
}

#[test]
fn what_is_written_is_read_again() {
    let written = record(&[("a", 1), ("b", 23_456)]);
    assert_eq!(Record::parse(&written.to_text()), Ok(written));
    assert!(Record::parse("rustc = 1").is_err());
    assert!(Record::parse("rustc = \"1\"\n[instructions]\na = -1").is_err());
}

#[test]
fn the_table_has_every_row() {
    let table = record(&[("a", 100), ("b", 1)]).compare(&record(&[("a", 90)])).table();
    let rows: Vec<Vec<&str>> =
        table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[1], ["a", "100", "90", "-10.0", "%"]);
    assert_eq!(rows[2], ["b", "1", "-", "-"]);
}
