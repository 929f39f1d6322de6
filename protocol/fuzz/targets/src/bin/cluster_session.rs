//! A session that its node left in Redis.
#![no_main]

use libfuzzer_sys::fuzz_target;
use yamabiko_fuzz_targets::cluster::{TIGHT, check_names, check_value, written};
use yamabiko_protocol::cluster::streams::{Offset, Session};
use yamabiko_protocol::limits::ClusterLimits;

fuzz_target!(|input: &[u8]| {
    if let Ok(offset) = std::str::from_utf8(input).unwrap_or_default().parse::<Offset>() {
        assert!(offset < offset.next() || offset.ms == u64::MAX);
        assert_eq!(offset.to_string().parse(), Ok(offset));
    }
    let limits = ClusterLimits::default();
    let mut scratch = Vec::new();
    let Ok(session) = Session::decode(input, &mut scratch, &limits) else {
        return assert!(Session::decode(input, &mut Vec::new(), &TIGHT).is_err());
    };
    check_names(&session.rooms);
    session.data.iter().for_each(check_value);
    let kept = written(|out| session.encode(out)).expect("keys stay as they are");
    let mut scratch = Vec::new();
    let again = Session::decode(&kept, &mut scratch, &limits).expect("what we write");
    assert_eq!(
        (&again.sid, &again.pid, &again.rooms),
        (&session.sid, &session.pid, &session.rooms)
    );
    assert_eq!(written(|out| again.encode(out)), Some(kept));
});
