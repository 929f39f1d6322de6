//! Scenario `echo`: every client asks, every answer brings the text back.
//!
//! Its packets are those of `polling` too.

use std::collections::VecDeque;

use crate::digits;
use crate::exchange::Exchange;
use crate::frame::{self, Opcode};
use crate::options::Options;
use crate::payload::Payload;
use crate::swarm::Traffic;
use crate::tally::{Tally, excerpt};

const ASK: &[u8] = b"42";
const EVENT: &[u8] = br#"["echo",""#;
const ANSWER: &[u8] = b"43";
const ARGUMENT: &[u8] = br#"[""#;
/// The longest id of a question.
pub(crate) const ID_DIGITS: usize = 10;

/// The packets of an echo: `42<id>["echo","<text>"]` and `43<id>["<text>"]`.
///
/// The text shrinks as the id grows, so that all questions have one length.
#[derive(Debug)]
pub(crate) struct EchoText {
    /// A question.
    packet: Payload,
    /// Digits of its id.
    width: usize,
}

impl EchoText {
    /// Packets of `length` bytes.
    pub(crate) fn new(length: usize) -> Self {
        Self { packet: Payload::text(length - br#""]"#.len()), width: 0 }
    }

    /// Question `sequence` of `client`.
    #[inline]
    pub(crate) fn ask(&mut self, client: usize, sequence: u64) -> &[u8] {
        let width = sequence.checked_ilog10().map_or(1, |log| log as usize + 1);
        self.widen(width);
        digits::fill(&mut self.packet.head_mut(ASK.len() + width)[ASK.len()..], sequence);
        self.packet.of(client, sequence)
    }

    /// The number of the question that `packet` answers rightly; `None` if it is wrong in any byte.
    #[inline]
    pub(crate) fn answered(&mut self, client: usize, packet: &[u8]) -> Option<u64> {
        let rest = packet.strip_prefix(ANSWER)?;
        let (sequence, argument) = digits::leading(rest)?;
        let width = rest.len() - argument.len();
        let text = argument.strip_prefix(ARGUMENT)?;
        if width > ID_DIGITS {
            return None;
        }
        self.widen(width);
        let asked = &self.packet.of(client, sequence)[head(width)..];
        (text == asked).then_some(sequence)
    }

    /// Makes room for an id of `width` digits.
    #[inline]
    fn widen(&mut self, width: usize) {
        if self.width != width {
            let id = &[b'0'; ID_DIGITS][..width];
            self.packet.replace_head(head(self.width), &[ASK, id, EVENT].concat());
            self.width = width;
        }
    }
}

/// Bytes before the text of a question whose id has `width` digits.
#[inline]
fn head(width: usize) -> usize {
    ASK.len() + width + EVENT.len()
}

/// All clients' questions.
#[derive(Debug)]
pub(crate) struct Echo {
    packets: EchoText,
    largest: usize,
    clients: Vec<Exchange>,
    random: fastrand::Rng,
    due: VecDeque<usize>,
}

impl Echo {
    /// As the options say.
    pub(crate) fn new(options: &Options) -> Self {
        let clients = || Exchange::new(options.outstanding);
        Self {
            packets: EchoText::new(options.payload),
            largest: options.payload,
            clients: std::iter::repeat_with(clients).take(options.connections).collect(),
            random: fastrand::Rng::new(),
            due: VecDeque::new(),
        }
    }
}

impl Traffic for Echo {
    fn room(&self, _: usize) -> Option<String> {
        None
    }

    fn largest(&self) -> usize {
        self.largest
    }

    #[inline]
    fn text(&mut self, client: usize, now: u64, packet: &[u8], tally: &mut Tally) {
        let exchange = &mut self.clients[client];
        match self.packets.answered(client, packet) {
            Some(sequence) if exchange.was_asked(sequence) => {
                exchange.answered(sequence, now, tally);
            }
            _ => tally.error(|| format!("client {client} was answered {}", excerpt(packet))),
        }
    }

    fn binary(&mut self, client: usize, _: u64, bytes: &[u8], tally: &mut Tally) {
        tally.error(|| format!("client {client} got an attachment, {}", excerpt(bytes)));
    }

    #[inline]
    fn outgoing(&mut self, client: usize, now: u64, out: &mut Vec<u8>) {
        while let Some(sequence) = self.clients[client].ask(now) {
            let mask = frame::random_mask(&mut self.random);
            frame::write(out, Opcode::Text, mask, &[self.packets.ask(client, sequence)]);
        }
    }

    fn due(&mut self) -> &mut VecDeque<usize> {
        &mut self.due
    }

    fn outstanding(&self) -> usize {
        self.clients.iter().map(Exchange::outstanding).sum()
    }

    fn missing(&self) -> u64 {
        self.clients.iter().map(Exchange::missing).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(packets: &mut EchoText, client: usize, sequence: u64) -> String {
        String::from_utf8(packets.ask(client, sequence).to_vec()).unwrap()
    }

    #[test]
    fn questions_are_packets_of_one_length() {
        let mut packets = EchoText::new(50);
        assert_eq!(
            question(&mut packets, 3, 7),
            r#"427["echo","own fox jumps over t00003.0000000007"]"#
        );
        for sequence in [0, 9, 10, 12_345, 9_999_999_999] {
            let packet = question(&mut packets, 3, sequence);
            assert_eq!(packet.len(), 50);
            let id = sequence.to_string();
            let args: (String, String) = serde_json::from_str(
                packet.strip_prefix("42").unwrap().strip_prefix(&*id).unwrap(),
            )
            .unwrap();
            assert_eq!(args.0, "echo");
            let answer = format!("43{id}[\"{}\"]", args.1);
            assert_eq!(packets.answered(3, answer.as_bytes()), Some(sequence));
        }
    }

    #[test]
    fn an_answer_wrong_in_any_byte_is_none() {
        let mut packets = EchoText::new(64);
        let question = question(&mut packets, 3, 42);
        let answer = question.replace(r#"4242["echo","#, "4342[");
        let answer = answer.as_bytes();
        assert_eq!(packets.answered(3, answer), Some(42));
        assert_eq!(packets.answered(4, answer), None, "another client's");
        for at in 0..answer.len() {
            let mut wrong = answer.to_vec();
            wrong[at] ^= 1;
            assert_eq!(packets.answered(3, &wrong), None, "byte {at}");
            wrong.remove(at);
            assert_eq!(packets.answered(3, &wrong), None, "without byte {at}");
        }
        let huge = br#"43123456789012345678["x"]"#;
        assert_eq!(packets.answered(3, huge), None);
    }
}
