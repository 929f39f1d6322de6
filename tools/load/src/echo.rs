//! Scenario `echo`: every client asks, every answer brings the text back.
//!
//! Its packets are those of `polling` too.

use std::collections::VecDeque;

use crate::digits::{self, Decimal};
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

/// The packets of an echo: `42<id>["echo","<text>"]` and `43<id>["<text>"]`.
///
/// The text shrinks as the id grows, so that all questions have one length.
#[derive(Debug)]
pub(crate) struct EchoText {
    text: Payload,
}

impl EchoText {
    /// Packets of `length` bytes.
    pub(crate) fn new(length: usize) -> Self {
        let around = ASK.len() + 1 + EVENT.len() + br#""]"#.len();
        Self { text: Payload::text(length - around) }
    }

    /// Gives the parts of question `sequence` of `client` to `write`.
    #[inline]
    pub(crate) fn ask(&mut self, client: usize, sequence: u64, write: impl FnOnce(&[&[u8]])) {
        let id = Decimal::new(sequence);
        let id = id.as_bytes();
        write(&[ASK, id, EVENT, self.text.of(client, sequence, id.len() - 1)]);
    }

    /// The number of the question that `packet` answers rightly; `None` if it is wrong in any byte.
    #[inline]
    pub(crate) fn answered(&mut self, client: usize, packet: &[u8]) -> Option<u64> {
        let rest = packet.strip_prefix(ANSWER)?;
        let (sequence, text) = digits::leading(rest)?;
        let width = rest.len() - text.len();
        let text = text.strip_prefix(ARGUMENT)?;
        // An id of more digits than any question has would cut into the name.
        (width <= 10 && text == self.text.of(client, sequence, width - 1)).then_some(sequence)
    }
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
            self.packets
                .ask(client, sequence, |parts| frame::write(out, Opcode::Text, mask, parts));
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
        let mut packet = Vec::new();
        packets.ask(client, sequence, |parts| packet = parts.concat());
        String::from_utf8(packet).unwrap()
    }

    #[test]
    fn questions_are_packets_of_one_length() {
        let mut packets = EchoText::new(50);
        assert_eq!(
            question(&mut packets, 3, 7),
            r#"427["echo","The quick brown fox 00003.0000000007"]"#
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
