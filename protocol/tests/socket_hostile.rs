//! What a peer may try, and where other servers fell: every refusal by name.

use bytes::Bytes;
use yamabiko_protocol::limits::PacketLimits;
use yamabiko_protocol::socket::{DecodeError, Decoder, Packet, decode};

fn refused(text: &str) -> DecodeError {
    try_decode(text).expect_err(text)
}

fn try_decode(text: &str) -> Result<Packet<'_>, DecodeError> {
    decode(text, &PacketLimits::default())
}

#[test]
fn what_is_no_packet_is_refused() {
    for text in ["", "7", "9[]", "abc", " 2[1]", "-1", "é", "\u{0}", "/", "[\"a\"]", "\"", "{}"] {
        assert_eq!(refused(text), DecodeError::UnknownType, "{text}");
    }
}

#[test]
fn a_payload_that_is_no_json_is_refused() {
    for text in [
        "0{",
        "0{]",
        "2[",
        "2[\"a\"",
        "2[\"a\",]",
        "2[\"a\"]x",
        "2abc[\"a\"]",
        "2a",
        "2[\"a\"][\"b\"]",
        "2[\"\\x\"]",
        "2[\"a\n\"]",
        "2[01]",
        "2['a']",
        "2[\"a\",NaN]",
        "2[\"a\",undefined]",
        "2-1[\"a\"]",
        "3abc[]",
        "1.5[]",
        "4nope",
        "2+1[\"a\"]",
        "2,[\"a\"]",
        "2[\"a\"]\u{1e}2[\"b\"]",
        "2/a,b[\"a\"]",
    ] {
        assert_eq!(refused(text), DecodeError::Json, "{text}");
    }
}

#[test]
fn a_payload_of_the_wrong_shape_is_refused() {
    for text in [
        // CONNECT: an object or nothing.
        "0null",
        "0[]",
        "0\"a\"",
        "0true",
        "0/a,[]",
        "0/a,null",
        // DISCONNECT: nothing.
        "1{}",
        "1[]",
        "1\"\"",
        "1null",
        "1/a,{}",
        // EVENT: an array that starts with a name.
        "2",
        "2{}",
        "2\"a\"",
        "2null",
        "2[]",
        "2[null]",
        "2[true,1]",
        "2[[]]",
        "2[{}]",
        "2/a",
        "2/a,",
        "25",
        "51-",
        "51-{}",
        "51-[]",
        "51-[{\"_placeholder\":true,\"num\":0}]",
        // ACK: an array.
        "3{}",
        "3\"a\"",
        "31null",
        "61-",
        "61-1",
        "61-1{}",
        // CONNECT_ERROR: something.
        "4",
        "4/a,",
    ] {
        assert_eq!(refused(text), DecodeError::Payload, "{text}");
    }
}

#[test]
fn an_attachment_count_that_is_none_is_refused() {
    for text in [
        "5",
        "51",
        "6",
        "61",
        "5-",
        "5-[\"a\"]",
        "5[\"a\"]",
        "5a-",
        "5a-[\"a\"]",
        "51.23-",
        "51.23-[\"a\"]",
        "5-1-[\"a\"]",
        "50-[\"a\"]",
        "500-[\"a\"]",
        "60-1[]",
        "51/a,[\"a\"]",
        "5 1-[\"a\"]",
        "51[\"a\"]-",
        "5Infinity-[\"a\"]",
        "51e0-[\"a\"]",
        "5０-[\"a\"]",
    ] {
        assert_eq!(refused(text), DecodeError::Attachments, "{text}");
    }
}

#[test]
fn numeric_names_and_acks_without_id_are_tolerated() {
    for text in ["2[5,1]", "2[-1]", "3[]", "3", "3[\"a\"]", "0{}", "2[\"\"]"] {
        assert!(try_decode(text).is_ok(), "{text}");
    }
}

/// Long runs of digits took quadratic time: these would take hours.
#[test]
fn cve_2020_36049_a_megabyte_of_digits() {
    let digits = "1".repeat(1_000_000);
    for (text, error) in [
        (format!("5{digits}-[\"a\"]"), DecodeError::TooManyAttachments),
        (format!("5{digits}"), DecodeError::TooManyAttachments),
        (format!("6{digits}-/a,1[]"), DecodeError::TooManyAttachments),
        (format!("2{digits}[\"a\"]"), DecodeError::Id),
        (format!("2/a,{digits}[\"a\"]"), DecodeError::Id),
        (format!("3{digits}"), DecodeError::Id),
        (format!("0/{digits}"), DecodeError::NamespaceTooLong),
        (format!("2/{digits},[\"a\"]"), DecodeError::NamespaceTooLong),
        (format!("51-/{digits},[\"a\"]"), DecodeError::NamespaceTooLong),
    ] {
        assert_eq!(refused(&text), error);
    }
    // As numbers inside of JSON they are what JSON is, in linear time.
    assert!(try_decode(&format!("2[\"a\",{digits}]")).is_ok());
    let name = format!("2[{digits}]");
    let packet = try_decode(&name).unwrap();
    assert_eq!(packet.event(&[]).unwrap().name, "Infinity");
}

/// A placeholder's `num` picked any property of the array of attachments.
#[test]
fn cve_2022_2421_placeholders_that_index_nothing() {
    for num in [
        "-1",
        "1.5",
        "\"splice\"",
        "1e9",
        "1000000000",
        "2",
        "null",
        "true",
        "\"0\"",
        "[0]",
        "{}",
        "-0.5",
    ] {
        let text = format!("52-[\"a\",{{\"_placeholder\":true,\"num\":{num}}}]");
        assert_eq!(refused(&text), DecodeError::Placeholder, "{num}");
        let text = format!("62-1[{{\"deep\":[{{\"num\":{num},\"_placeholder\":true}}]}}]");
        assert_eq!(refused(&text), DecodeError::Placeholder, "{num}");
    }
    let missing = "51-[\"a\",{\"_placeholder\":true}]";
    assert_eq!(refused(missing), DecodeError::Placeholder);
    let duplicate =
        "52-[\"a\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":0}]";
    assert_eq!(refused(duplicate), DecodeError::Placeholder);
    let escaped = "51-[\"a\",{\"\\u005fplaceholder\":true,\"num\":\"splice\"}]";
    assert_eq!(refused(escaped), DecodeError::Placeholder);
    // The decoder waits for no attachment of such a packet.
    let limits = PacketLimits::default();
    let mut decoder = Decoder::new();
    assert_eq!(decoder.text(missing, &limits), Err(DecodeError::Placeholder));
    assert_eq!(decoder.attachments_due(), 0);
}

/// An event's name that was an object, or a name that the server raises itself, ended the process.
#[test]
fn cve_2023_32695_names_that_are_none() {
    for (text, error) in [
        ("2[{\"toString\":\"foo\"}]", DecodeError::Payload),
        ("2[true,\"foo\"]", DecodeError::Payload),
        ("2[null,\"bar\"]", DecodeError::Payload),
        ("2[\"connect\"]", DecodeError::ReservedEvent),
        ("2[\"connect_error\"]", DecodeError::ReservedEvent),
        ("2[\"disconnect\",\"123\"]", DecodeError::ReservedEvent),
        ("2[\"disconnecting\"]", DecodeError::ReservedEvent),
        ("2[\"newListener\"]", DecodeError::ReservedEvent),
        ("2[\"removeListener\"]", DecodeError::ReservedEvent),
        ("2[\"conn\\u0065ct\"]", DecodeError::ReservedEvent),
        ("51-[\"connect\"]", DecodeError::ReservedEvent),
        ("0[]", DecodeError::Payload),
        ("51", DecodeError::Attachments),
        ("5a-", DecodeError::Attachments),
        ("51.23-", DecodeError::Attachments),
    ] {
        assert_eq!(refused(text), error, "{text}");
    }
}

/// An event named `error` without listener ended the process.
#[test]
fn cve_2024_38355_error_is_an_event_like_any_other() {
    let packet = try_decode("2[\"error\"]").unwrap();
    assert_eq!(packet.event(&[]).unwrap().name, "error");
}

/// Attachments were collected without bound, also before any namespace was joined.
#[test]
fn cve_2026_33151_attachments_without_bound() {
    let limits = PacketLimits::default();
    for count in ["11", "12", "99", "100", "999999999", "9999999999", "18446744073709551617"] {
        // The first packet of the connection: nothing was joined yet.
        let mut decoder = Decoder::new();
        for text in [format!("5{count}-[\"a\"]"), format!("6{count}-1[]")] {
            let error = decoder.text(&text, &limits).unwrap_err();
            assert_eq!(error, DecodeError::TooManyAttachments);
            assert_eq!(decoder.attachments_due(), 0);
        }
    }
    let mut decoder = Decoder::new();
    assert_eq!(decoder.text("510-[\"a\"]", &limits), Ok(None));
    for _ in 0..9 {
        assert!(decoder.binary(Bytes::from_static(b"x"), &limits).unwrap().is_none());
    }
    assert!(decoder.binary(Bytes::from_static(b"x"), &limits).unwrap().is_some());
    // And by bytes, together.
    let limits = PacketLimits { attachment_bytes_max: 1_000, ..limits };
    let mut decoder = Decoder::new();
    decoder.text("52-[\"a\"]", &limits).unwrap();
    assert!(decoder.binary(Bytes::from(vec![0; 600]), &limits).unwrap().is_none());
    let error = decoder.binary(Bytes::from(vec![0; 600]), &limits).unwrap_err();
    assert_eq!(error, DecodeError::AttachmentBytes);
}

#[test]
fn deep_json_is_refused_without_growing_the_stack() {
    std::thread::Builder::new()
        .stack_size(64 * 1024)
        .spawn(|| {
            for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")] {
                let text = format!("2[\"a\",{}1{}]", open.repeat(100_000), close.repeat(100_000));
                assert_eq!(refused(&text), DecodeError::TooDeep);
                assert_eq!(refused(&format!("3{}", open.repeat(100_000))), DecodeError::TooDeep);
                assert_eq!(refused(&format!("51-{}", open.repeat(100_000))), DecodeError::TooDeep);
            }
        })
        .unwrap()
        .join()
        .unwrap();
}

/// What the limit lets pass must also be readable, with and without attachments.
#[test]
fn the_deepest_json_that_is_let_in_can_be_read() {
    let deep = format!("{}1{}", "[".repeat(125), "]".repeat(125));
    let text = format!("2[\"a\",{deep}]");
    let packet = try_decode(&text).unwrap();
    assert_eq!(refused(&text.replace('1', "[[1]]")), DecodeError::TooDeep);
    let (value,) = packet.event(&[]).unwrap().args.parse_tuple::<(serde_json::Value,)>().unwrap();
    assert_eq!(value.to_string(), deep);

    // A placeholder is one level itself.
    let deep = deep.replace('1', "{\"_placeholder\":true,\"num\":0}");
    let text = format!("51-[\"a\",{deep}]");
    let mut decoder = Decoder::new();
    let limits = PacketLimits::default();
    assert_eq!(decoder.text(&text, &limits), Ok(None));
    let complete = decoder.binary(Bytes::from_static(b"\0"), &limits).unwrap().unwrap();
    let value: serde_json::Value = complete.event().unwrap().args.parse_arg(0).unwrap();
    assert!(value.to_string().contains("\"AA==\""));
}

#[test]
fn an_error_does_not_repeat_the_message() {
    let text = format!("2[\"a\",\"{}\"]", "é".repeat(100_000));
    let args = try_decode(&text).unwrap().event(&[]).unwrap().args;
    for error in [args.parse_tuple::<(u8,)>().unwrap_err(), args.parse_arg::<bool>(0).unwrap_err()]
    {
        assert!(error.reason.starts_with("invalid type: string \"éé"), "{error}");
        assert!(error.reason.len() <= 256);
    }
}
