//! What a connection makes of its bytes: requests one after the other, and how it ends.

use yamabiko_protocol::http::{BodyDecoder, HeadParser, HttpError};
use yamabiko_protocol::limits::HttpLimits;

/// A request that would reach a handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// Its method and target.
    pub(crate) line: String,
    pub(crate) body: Vec<u8>,
    keep_alive: bool,
}

/// How the bytes of a connection end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum End {
    /// More are awaited.
    #[default]
    Open,
    /// A request was the last: what follows is not read.
    Closed,
    /// What follows are frames.
    Upgraded,
    Refused(HttpError),
}

pub(crate) type Outcome = (Vec<Request>, End);

#[derive(Default)]
struct Connection {
    buffer: Vec<u8>,
    parser: HeadParser,
    reading: Option<(Request, BodyDecoder)>,
    requests: Vec<Request>,
    end: End,
}

impl Connection {
    fn receive(&mut self, piece: &[u8], limits: &HttpLimits) {
        self.buffer.extend_from_slice(piece);
        while self.end == End::Open {
            match self.step(limits) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => self.end = End::Refused(error),
            }
        }
    }

    /// Takes a head or as much of a body as there is; `false` if more bytes are needed.
    fn step(&mut self, limits: &HttpLimits) -> Result<bool, HttpError> {
        let Some((request, decoder)) = &mut self.reading else {
            let Some((head, len)) = self.parser.parse(&self.buffer, limits)? else {
                return Ok(false);
            };
            let request = Request {
                line: format!("{} {}", head.method().as_str(), head.target()),
                body: Vec::new(),
                keep_alive: head.keep_alive(),
            };
            match head.is_websocket_upgrade() {
                true => {
                    self.requests.push(request);
                    self.end = End::Upgraded;
                }
                false => self.reading = Some((request, BodyDecoder::new(head.body(), limits)?)),
            }
            self.buffer.drain(..len);
            return Ok(true);
        };
        let (len, is_done) = decoder.decode(&self.buffer, &mut request.body)?;
        self.buffer.drain(..len);
        if is_done && let Some((request, _)) = self.reading.take() {
            if !request.keep_alive {
                self.end = End::Closed;
            }
            self.requests.push(request);
        }
        Ok(is_done)
    }
}

/// The outcome of bytes that come in these pieces.
pub(crate) fn outcome<'b>(
    pieces: impl IntoIterator<Item = &'b [u8]>,
    limits: &HttpLimits,
) -> Outcome {
    let mut connection = Connection::default();
    for piece in pieces {
        connection.receive(piece, limits);
    }
    (connection.requests, connection.end)
}
