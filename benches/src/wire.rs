//! Bytes as clients send them.

/// A poll of a browser: 8 header fields.
pub const POLL_HEAD: &[u8] = b"GET /socket.io/?EIO=4&transport=polling&t=abcd123&sid=abcdefghijklmnopqrst HTTP/1.1\r\n\
    Host: chat.example.org\r\n\
    Connection: keep-alive\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n\
    Accept: */*\r\n\
    Origin: https://chat.example.org\r\n\
    Referer: https://chat.example.org/lobby\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-GB,en;q=0.9\r\n\r\n";

/// An upgrade to WebSocket, with the example key of RFC 6455.
pub const UPGRADE_HEAD: &[u8] = b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n\
    Host: chat.example.org\r\n\
    Connection: Upgrade\r\n\
    Upgrade: websocket\r\n\
    Origin: https://chat.example.org\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";

/// An event with one string and an acknowledgement asked for, as the payload of a text frame: 64 bytes.
pub const EVENT: &str = r#"4217["message","sixty-four bytes with the head and all of them"]"#;

const _: () = assert!(EVENT.len() == 64);

/// An event with an object, as the text of a Socket.IO packet.
pub const OBJECT_EVENT: &str =
    r#"217["said",{"room":"lobby","from":"ada","text":"hello there, how are you?","n":42}]"#;

/// The text of a binary event with one attachment and two arguments.
pub const BINARY_EVENT: &str = r#"51-17["upload",{"_placeholder":true,"num":0},"photo.jpg"]"#;

/// First byte of a text message in one frame.
pub const TEXT: u8 = 0x81;

/// First byte of a binary message in one frame.
pub const BINARY: u8 = 0x82;

/// The masking key of [`client_frame`].
pub const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame as a client sends it: masked, whole.
pub fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..=125 => frame.push(0x80 | len as u8),
        len @ 126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// ASCII text of `len` bytes.
pub fn ascii(len: usize) -> String {
    "The quick brown fox jumps over the lazy dog. ".chars().cycle().take(len).collect()
}

/// Text of `len` bytes of which most are in characters of two and three bytes.
pub fn mixed(len: usize) -> String {
    let mut text: String = "Ελληνικά, русский и 日本語の文章. ".repeat(len / 40 + 1);
    text.truncate(text.floor_char_boundary(len));
    text.extend(std::iter::repeat_n('.', len - text.len()));
    text
}
