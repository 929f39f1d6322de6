//! A broadcast of the classic adapter, of today or of its oldest dialect.
#![no_main]

use libfuzzer_sys::fuzz_target;
use yamabiko_fuzz_targets::cluster::{TIGHT, check_packet, check_target, written};
use yamabiko_protocol::cluster::classic::Broadcast;
use yamabiko_protocol::cluster::{Malformed, modernise};
use yamabiko_protocol::limits::ClusterLimits;

fuzz_target!(|input: &[u8]| {
    if let Err(error) = decode(input) {
        assert_ne!(error, Malformed::TooLong);
        let mut modern = input.to_vec();
        match modernise(&mut modern) {
            Ok(()) => drop(decode(&modern)),
            Err(_) => assert_eq!(modern, input),
        }
    }
    if Broadcast::decode(input, &TIGHT).is_ok() {
        assert!(decode(input).is_ok() && input.len() <= TIGHT.message_bytes_max);
    }
});

fn decode(message: &[u8]) -> Result<(), Malformed> {
    let limits = ClusterLimits::default();
    let broadcast = Broadcast::decode(message, &limits)?;
    check_packet(&broadcast.packet);
    check_target(&broadcast.target);
    for room in &broadcast.target.rooms {
        let earlier: Vec<_> = broadcast.earlier_rooms(&room).collect();
        assert!(earlier.len() < broadcast.target.rooms.len() && !earlier.contains(&room));
    }
    let bytes = written(|out| broadcast.encode(out)).expect("keys stay as they are");
    let again = Broadcast::decode(&bytes, &limits).expect("what we write");
    assert_eq!((&again.sender, &again.target), (&broadcast.sender, &broadcast.target));
    assert_eq!(again.namespace(), broadcast.namespace());
    assert_eq!(written(|out| again.encode(out)), Some(bytes));
    Ok(())
}
