//! What leaves a server towards one client, and the mistakes made there.

use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::Fault;

/// One in so many messages is treated wrongly.
const EVERY: u32 = 7;
/// A message that is held until the next goes out after so long without a next.
const HELD_MAX: Duration = Duration::from_millis(20);

/// The way to a client.
pub(crate) trait Sink: Send + 'static {
    fn send(&mut self, message: &Message) -> io::Result<()>;
    fn close(&mut self);
}

/// Makes the server's mistake with some of the messages, then hands all on.
pub(crate) struct Outlet {
    fault: Fault,
    count: u32,
    /// To be sent after the next.
    held: Option<Message>,
    sink: Box<dyn Sink>,
}

/// A packet and its attachment.
#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) packet: String,
    pub(crate) attachment: Option<Vec<u8>>,
}

impl Outlet {
    pub(crate) fn start(fault: Fault, sink: impl Sink) -> Arc<Mutex<Self>> {
        let it = Self { fault, count: 0, held: None, sink: Box::new(sink) };
        let it = Arc::new(Mutex::new(it));
        let weak = Arc::downgrade(&it);
        if fault == Fault::Swaps {
            thread::spawn(move || {
                while let Some(it) = weak.upgrade() {
                    let mut it = it.lock().unwrap();
                    if let Some(held) = it.held.take() {
                        let _ = it.sink.send(&held);
                    }
                    drop(it);
                    thread::sleep(HELD_MAX);
                }
            });
        }
        it
    }

    /// Sends what is not a message that the mistake is about.
    pub(crate) fn control(&mut self, packet: &str) -> io::Result<()> {
        self.sink.send(&Message { packet: packet.into(), attachment: None })
    }

    /// Sends a message, rightly or not.
    pub(crate) fn message(&mut self, message: Message) -> io::Result<()> {
        self.count += 1;
        let mut messages = vec![message];
        if self.count.is_multiple_of(EVERY) {
            match self.fault {
                Fault::Loses => messages.clear(),
                Fault::Doubles => messages.push(messages[0].clone()),
                Fault::Alters => alter(&mut messages[0]),
                Fault::Swaps => self.held = messages.pop(),
                Fault::Closes => {
                    self.sink.close();
                    return Err(ErrorKind::ConnectionAborted.into());
                }
                _ => {}
            }
        } else {
            messages.extend(self.held.take());
        }
        messages.iter().try_for_each(|message| self.sink.send(message))
    }
}

/// Changes a byte in the middle of the text, or of the attachment.
fn alter(message: &mut Message) {
    match &mut message.attachment {
        Some(bytes) => {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        }
        None => {
            let middle = message.packet.len() / 2;
            let other = if message.packet.as_bytes()[middle] == b'x' { "y" } else { "x" };
            message.packet.replace_range(middle..=middle, other);
        }
    }
}
