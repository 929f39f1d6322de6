//! A response of the classic adapter, of either generation.
#![no_main]

use libfuzzer_sys::fuzz_target;
use yamabiko_fuzz_targets::cluster::{TIGHT, check_names, check_sockets, check_value, written};
use yamabiko_protocol::cluster::classic::{Answer, Response};
use yamabiko_protocol::limits::ClusterLimits;

fuzz_target!(|input: &[u8]| {
    let limits = ClusterLimits::default();
    let Ok(response) = Response::decode(input, &limits) else {
        return assert!(Response::decode(input, &TIGHT).is_err());
    };
    match &response.answer {
        Answer::Sockets(sockets) => check_sockets(sockets),
        Answer::Rooms(rooms) => check_names(rooms),
        Answer::ServerSideEmit(Some(value)) | Answer::Ack(Some(value)) | Answer::Custom(value) => {
            check_value(value);
        }
        Answer::Done
        | Answer::ClientCount(_)
        | Answer::ServerSideEmit(None)
        | Answer::Ack(None) => {}
    }
    let Some(bytes) = written(|out| response.encode(out)) else { return };
    let again = Response::decode(&bytes, &limits).expect("what we write");
    assert_eq!((&again.id, again.generation), (&response.id, response.generation));
    assert_eq!(written(|out| again.encode(out)), Some(bytes));
});
