//! A request of the classic adapter, of either generation.
#![no_main]

use libfuzzer_sys::fuzz_target;
use yamabiko_fuzz_targets::cluster::{
    TIGHT, check_names, check_packet, check_target, check_value, written,
};
use yamabiko_protocol::cluster::classic::{Action, Generation, Request};
use yamabiko_protocol::limits::ClusterLimits;

fuzz_target!(|input: &[u8]| {
    let limits = ClusterLimits::default();
    let Ok(request) = Request::decode(input, &limits) else {
        return assert!(Request::decode(input, &TIGHT).is_err());
    };
    check(&request);
    let Some(bytes) = written(|out| request.encode(out)) else { return };
    let again = Request::decode(&bytes, &limits).expect("what we write");
    // A request without an id does not tell whose it is.
    if request.id.is_some() || request.generation == Generation::Current {
        assert_eq!(again.generation, request.generation);
        assert_eq!((&again.sender, &again.id), (&request.sender, &request.id));
        assert_eq!(written(|out| again.encode(out)), Some(bytes));
    }
});

fn check(request: &Request<'_>) {
    match &request.action {
        Action::Sockets { rooms } => check_names(rooms),
        Action::Join { target, rooms } | Action::Leave { target, rooms } => {
            check_target(target);
            check_names(rooms);
        }
        Action::Disconnect { target, .. } | Action::Fetch { target } => check_target(target),
        Action::ServerSideEmit { data } | Action::Custom { data: Some(data) } => check_value(data),
        Action::Broadcast { packet, target } => {
            check_packet(packet);
            check_target(target);
        }
        Action::AllRooms
        | Action::JoinOne { .. }
        | Action::LeaveOne { .. }
        | Action::DisconnectOne { .. }
        | Action::ClientRooms { .. }
        | Action::Custom { data: None } => {}
    }
}
