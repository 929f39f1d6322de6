//! Scenario `binary`: the echo of an event with one attachment.

use std::collections::VecDeque;

use crate::digits::{self, Decimal};
use crate::exchange::Exchange;
use crate::frame::{self, Opcode};
use crate::options::Options;
use crate::payload::Payload;
use crate::swarm::Traffic;
use crate::tally::{Tally, excerpt};

const ASK: &[u8] = b"451-";
const EVENT: &[u8] = br#"["echo",{"_placeholder":true,"num":0}]"#;
const ANSWER: &[u8] = b"461-";
const ARGUMENT: &[u8] = br#"[{"_placeholder":true,"num":0}]"#;
/// The same object; JSON has no order.
const ARGUMENT_REVERSED: &[u8] = br#"[{"num":0,"_placeholder":true}]"#;

/// All clients' questions with attachments.
#[derive(Debug)]
pub(crate) struct BinaryEcho {
    attachment: Payload,
    largest: usize,
    clients: Vec<Client>,
    random: fastrand::Rng,
    due: VecDeque<usize>,
}

#[derive(Debug)]
struct Client {
    exchange: Exchange,
    /// The answer whose attachment comes next.
    announced: Option<u64>,
}

impl BinaryEcho {
    /// As the options say.
    pub(crate) fn new(options: &Options) -> Self {
        let clients = || Client { exchange: Exchange::new(options.outstanding), announced: None };
        Self {
            attachment: Payload::binary(options.payload),
            largest: options.payload,
            clients: std::iter::repeat_with(clients).take(options.connections).collect(),
            random: fastrand::Rng::new(),
            due: VecDeque::new(),
        }
    }
}

impl Traffic for BinaryEcho {
    fn room(&self, _: usize) -> Option<String> {
        None
    }

    fn largest(&self) -> usize {
        self.largest
    }

    #[inline]
    fn text(&mut self, client: usize, _: u64, packet: &[u8], tally: &mut Tally) {
        let Client { exchange, announced } = &mut self.clients[client];
        match announcement(packet) {
            Some(sequence) if announced.is_none() && exchange.was_asked(sequence) => {
                *announced = Some(sequence);
            }
            _ => tally.error(|| format!("client {client} was answered {}", excerpt(packet))),
        }
    }

    #[inline]
    fn binary(&mut self, client: usize, now: u64, bytes: &[u8], tally: &mut Tally) {
        let Client { exchange, announced } = &mut self.clients[client];
        match announced.take() {
            Some(sequence) if bytes == self.attachment.of(client, sequence) => {
                exchange.answered(sequence, now, tally);
            }
            Some(sequence) => tally.error(|| {
                format!(
                    "client {client} got another attachment with {sequence}, {}",
                    excerpt(bytes)
                )
            }),
            None => tally
                .error(|| format!("client {client} got a stray attachment, {}", excerpt(bytes))),
        }
    }

    #[inline]
    fn outgoing(&mut self, client: usize, now: u64, out: &mut Vec<u8>) {
        while let Some(sequence) = self.clients[client].exchange.ask(now) {
            let id = Decimal::new(sequence);
            let mask = frame::random_mask(&mut self.random);
            frame::write(out, Opcode::Text, mask, &[ASK, id.as_bytes(), EVENT]);
            let mask = frame::random_mask(&mut self.random);
            frame::write(out, Opcode::Binary, mask, &[self.attachment.of(client, sequence)]);
        }
    }

    fn due(&mut self) -> &mut VecDeque<usize> {
        &mut self.due
    }

    fn outstanding(&self) -> usize {
        self.clients.iter().map(|client| client.exchange.outstanding()).sum()
    }

    fn missing(&self) -> u64 {
        self.clients.iter().map(|client| client.exchange.missing()).sum()
    }
}

/// The id of an acknowledgement whose one argument is the attachment to come.
#[inline]
fn announcement(packet: &[u8]) -> Option<u64> {
    let (sequence, argument) = digits::leading(packet.strip_prefix(ANSWER)?)?;
    (argument == ARGUMENT || argument == ARGUMENT_REVERSED).then_some(sequence)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn echo() -> (BinaryEcho, Tally) {
        let words = ["yamabiko-load", "binary", "--connections", "2", "--payload", "30"];
        let mut it = BinaryEcho::new(&Options::parse_from(words));
        it.outgoing(1, 5, &mut Vec::new());
        (it, Tally::new())
    }

    #[test]
    fn an_attachment_must_follow_its_announcement_and_be_the_one() {
        let (mut it, mut tally) = echo();
        let right = it.attachment.of(1, 0).to_vec();
        it.binary(1, 9, &right, &mut tally);
        assert_eq!((tally.errors, tally.messages), (1, 0), "stray");
        it.text(1, 9, br#"460-0[]"#, &mut tally);
        it.text(1, 9, br#"461-7[{"_placeholder":true,"num":0}]"#, &mut tally);
        assert_eq!(tally.errors, 3, "not an answer, and to nothing asked");
        it.text(1, 9, br#"461-0[{"num":0,"_placeholder":true}]"#, &mut tally);
        it.text(1, 9, br#"461-0[{"_placeholder":true,"num":0}]"#, &mut tally);
        assert_eq!(tally.errors, 4, "text where an attachment is due");
        let mut wrong = right.clone();
        wrong[0] ^= 1;
        it.binary(1, 9, &wrong, &mut tally);
        assert_eq!((tally.errors, it.outstanding()), (5, 1));
        it.text(1, 9, br#"461-0[{"_placeholder":true,"num":0}]"#, &mut tally);
        it.binary(1, 9, &right, &mut tally);
        assert_eq!((tally.errors, tally.messages, it.outstanding()), (5, 1, 0));
    }
}
