//! Answers to polls, made smaller with gzip (RFC 1952) or deflate (RFC 1950) for those who can read it.
//!
//! Short ones are compressed on the spot, as long as they are few. Long ones, and those of a turn that has
//! compressed enough, are compressed one after the other by a task that lets the shard go on after each piece;
//! their requests wait meanwhile, as for any answer. When too much waits, what comes is sent as it is. So
//! neither a long answer nor a broadcast to many holds the shard up.
//!
//! What it takes to compress, some 300 KB, is made when the first client asks for it and used again.

use std::collections::VecDeque;
use std::io;

use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use yamabiko_protocol::engine::Response;
use yamabiko_protocol::http::Encoding;

use crate::connection::ConnectionKey;
use crate::shard::{Errand, Shard, State};

/// What is compressed before the shard does something else: less than a millisecond's work.
const PIECE_BYTES: usize = 64 * 1024;
/// Answers that may wait to be compressed, in bytes: a fraction of a second's work.
const WAITING_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Free space for what comes out, at least.
const SPACE_BYTES: usize = 4 * 1024;
/// Each answer is compressed for one client alone, so what counts is what it costs.
const LEVEL: Compression = Compression::fast();
/// Gzip's head: deflate, no flags, no time, the quickest level, no system.
const GZIP_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];

/// In the server's order of preference, which is Node's.
pub(crate) const OFFERED: [Encoding; 2] = [Encoding::Gzip, Encoding::Deflate];

/// What a shard has to compress, and what with.
#[derive(Default)]
pub(crate) struct Compressing {
    spare: Option<Box<Compressor>>,
    waiting: VecDeque<WaitingAnswer>,
    waiting_bytes: usize,
    /// A task looks after those that wait.
    is_at_work: bool,
    /// When something was compressed on the spot, and how many bytes then.
    at_ms: u64,
    spot_bytes: usize,
}

/// An answer that is to be compressed.
struct WaitingAnswer {
    to: ConnectionKey,
    response: Response,
    encoding: Encoding,
}

/// One body at a time on its way through deflate.
struct Compressor {
    encoding: Encoding,
    deflate: Compress,
    /// Gzip's checksum. Deflate has its own.
    crc: Crc,
    out: Vec<u8>,
}

impl Compressing {
    /// Whether so many bytes may be compressed on the spot.
    fn take_spot(&mut self, bytes: usize, now_ms: u64) -> bool {
        if self.at_ms != now_ms {
            (self.at_ms, self.spot_bytes) = (now_ms, 0);
        }
        let may = self.spot_bytes + bytes <= PIECE_BYTES;
        if may {
            self.spot_bytes += bytes;
        }
        may
    }

    /// Lets an answer wait, if there is room for it.
    fn push(&mut self, answer: WaitingAnswer) -> Result<(), WaitingAnswer> {
        let bytes = self.waiting_bytes + answer.response.body.len();
        if bytes > WAITING_BYTES_MAX && !self.waiting.is_empty() {
            return Err(answer);
        }
        self.waiting_bytes = bytes;
        self.waiting.push_back(answer);
        Ok(())
    }

    /// The next one that waits; without one nobody looks after them any more.
    fn pop(&mut self) -> Option<WaitingAnswer> {
        let next = self.waiting.pop_front();
        match &next {
            Some(answer) => self.waiting_bytes -= answer.response.body.len(),
            None => self.is_at_work = false,
        }
        next
    }

    fn compressor(&mut self, encoding: Encoding) -> Box<Compressor> {
        let spare = self.spare.take().filter(|spare| spare.encoding == encoding);
        spare.unwrap_or_else(|| Box::new(Compressor::new(encoding)))
    }
}

impl Compressor {
    /// For gzip or deflate.
    fn new(encoding: Encoding) -> Self {
        let deflate = Compress::new(LEVEL, encoding == Encoding::Deflate);
        Self { encoding, deflate, crc: Crc::new(), out: Vec::new() }
    }

    fn begin(&mut self) {
        self.deflate.reset();
        self.crc.reset();
        self.out.clear();
        if self.encoding == Encoding::Gzip {
            self.out.extend_from_slice(&GZIP_HEAD);
        }
    }

    fn feed(&mut self, mut piece: &[u8]) -> io::Result<()> {
        if self.encoding == Encoding::Gzip {
            self.crc.update(piece);
        }
        while !piece.is_empty() {
            self.out.reserve(SPACE_BYTES);
            let before = self.deflate.total_in();
            self.deflate.compress_vec(piece, &mut self.out, FlushCompress::None)?;
            piece = &piece[(self.deflate.total_in() - before) as usize..];
        }
        Ok(())
    }

    /// The whole body.
    fn end(&mut self) -> io::Result<Vec<u8>> {
        loop {
            self.out.reserve(SPACE_BYTES);
            let status = self.deflate.compress_vec(&[], &mut self.out, FlushCompress::Finish)?;
            if status == Status::StreamEnd {
                break;
            }
        }
        if self.encoding == Encoding::Gzip {
            self.out.extend_from_slice(&self.crc.sum().to_le_bytes());
            self.out.extend_from_slice(&self.crc.amount().to_le_bytes());
        }
        Ok(std::mem::take(&mut self.out))
    }
}

impl Shard {
    /// Compresses the answers that wait, while the shard goes on.
    pub(crate) fn compress(&self) {
        let shard = self.clone();
        self.run(None, async move {
            while let Some(answer) = shard.with(State::next_to_compress) {
                let WaitingAnswer { to, response, encoding } = answer;
                let mut compressor = shard.with(|state| state.compressing.compressor(encoding));
                let body = compress_in_pieces(&mut compressor, &response.body).await;
                shard.with(|state| {
                    state.compressing.spare = Some(compressor);
                    if state.is_being_compressed(to) {
                        state.respond_with(to, &response, encoding, body);
                    }
                });
                shard.nudge();
            }
        });
    }
}

async fn compress_in_pieces(compressor: &mut Compressor, body: &[u8]) -> io::Result<Vec<u8>> {
    compressor.begin();
    for piece in body.chunks(PIECE_BYTES) {
        compressor.feed(piece)?;
        glommio::executor().yield_task_queue_now().await;
    }
    compressor.end()
}

impl State {
    /// The coding in which an answer is sent, if in any.
    pub(crate) fn coding_of(&mut self, to: ConnectionKey, response: &Response) -> Option<Encoding> {
        let settings = self.settings.http_compression.filter(|_| response.compress)?;
        if response.body.len() < settings.threshold {
            return None;
        }
        self.http(to)?.answer.encoding
    }

    /// Answers with a smaller body, now or soon.
    pub(crate) fn respond_compressed(
        &mut self,
        to: ConnectionKey,
        response: Response,
        encoding: Encoding,
    ) {
        if self.compressing.take_spot(response.body.len(), self.now_ms) {
            let mut compressor = self.compressing.compressor(encoding);
            compressor.begin();
            let body = compressor.feed(&response.body).and_then(|()| compressor.end());
            self.compressing.spare = Some(compressor);
            return self.respond_with(to, &response, encoding, body);
        }
        let answer = WaitingAnswer { to, response, encoding };
        if let Err(WaitingAnswer { response, .. }) = self.compressing.push(answer) {
            return self.respond_body(to, &response, None, &response.body);
        }
        if let Some(http) = self.http(to) {
            http.answer.is_compressing = true;
        }
        if !std::mem::replace(&mut self.compressing.is_at_work, true) {
            self.errands.push(Errand::Compress);
        }
    }

    fn next_to_compress(&mut self) -> Option<WaitingAnswer> {
        loop {
            let answer = self.compressing.pop()?;
            if self.is_being_compressed(answer.to) {
                return Some(answer);
            }
        }
    }

    /// Whether an answer that is or was to be compressed is still waited for: its client may have gone.
    fn is_being_compressed(&mut self, to: ConnectionKey) -> bool {
        self.http(to).is_some_and(|http| http.answer.is_compressing)
    }

    /// The server shuts down: an answer that is being compressed is still sent, and nothing after it. True if
    /// there is one.
    pub(crate) fn drain_compressing(&mut self, connection: ConnectionKey) -> bool {
        let is_one = self.is_being_compressed(connection);
        if is_one {
            self.set_keep_alive(connection, false);
        }
        is_one
    }

    /// What cannot be compressed is sent as it is.
    fn respond_with(
        &mut self,
        to: ConnectionKey,
        response: &Response,
        encoding: Encoding,
        body: io::Result<Vec<u8>>,
    ) {
        match body {
            Ok(body) => self.respond_body(to, response, Some(encoding), &body),
            Err(error) => {
                tracing::warn!(%error, "an answer to a poll was not compressed");
                self.respond_body(to, response, None, &response.body);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn compressed(compressor: &mut Compressor, body: &[u8]) -> Vec<u8> {
        compressor.begin();
        for piece in body.chunks(PIECE_BYTES) {
            compressor.feed(piece).unwrap();
        }
        compressor.end().unwrap()
    }

    #[test]
    fn bodies_come_back_whole_from_one_compressor_after_another() {
        let mut noise = Vec::new();
        let mut seed = 1_u32;
        noise.resize_with(300_000, || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8
        });
        for encoding in OFFERED {
            let mut compressor = Compressor::new(encoding);
            for body in [&b""[..], b"one", "same ".repeat(50_000).as_bytes(), &noise, b"end"] {
                let small = compressed(&mut compressor, body);
                let mut plain = Vec::new();
                match encoding {
                    Encoding::Gzip => {
                        flate2::read::GzDecoder::new(&small[..]).read_to_end(&mut plain)
                    }
                    _ => flate2::read::ZlibDecoder::new(&small[..]).read_to_end(&mut plain),
                }
                .unwrap();
                assert!(plain == body, "{encoding:?}: {} bytes", body.len());
                assert!(small.len() <= body.len() + body.len() / 1000 + 64);
            }
        }
    }

    fn answer(bytes: usize) -> WaitingAnswer {
        let response = Response {
            status: 200,
            content_type: None,
            body: vec![0; bytes].into(),
            compress: true,
        };
        WaitingAnswer { to: ConnectionKey::default(), response, encoding: Encoding::Gzip }
    }

    #[test]
    fn so_much_is_compressed_on_the_spot_in_a_turn_and_no_more() {
        let mut compressing = Compressing::default();
        assert!(!compressing.take_spot(PIECE_BYTES + 1, 5), "it is long");
        assert!(compressing.take_spot(PIECE_BYTES - 1, 5));
        assert!(!compressing.take_spot(2, 5) && compressing.take_spot(1, 5));
        assert!(compressing.take_spot(PIECE_BYTES, 6));
    }

    #[test]
    fn so_much_waits_and_no_more() {
        let mut compressing = Compressing::default();
        let half = WAITING_BYTES_MAX / 2;
        for (bytes, has_room) in [(half, true), (half, true), (1, false)] {
            assert_eq!(compressing.push(answer(bytes)).is_ok(), has_room);
        }
        assert!(compressing.pop().is_some());
        assert!(compressing.push(answer(half + 1)).is_err());
        assert!(compressing.push(answer(half)).is_ok());
        compressing.is_at_work = true;
        assert!(compressing.pop().is_some() && compressing.pop().is_some());
        assert!(compressing.is_at_work && compressing.pop().is_none());
        assert!(!compressing.is_at_work && compressing.waiting_bytes == 0);
        // One that is longer than all that may wait does so alone.
        assert!(compressing.push(answer(WAITING_BYTES_MAX + 1)).is_ok());
    }
}
