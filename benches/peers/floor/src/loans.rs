//! Bytes that zero-copy sends have lent to the kernel: it may read them after the send is done, until it
//! notifies.

#[derive(Debug, Default)]
pub(crate) struct Loans {
    loans: Vec<Option<Loan>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Loan {
    slot: u32,
    bytes: Vec<u8>,
}

impl Loans {
    /// Lends the bytes of a connection's send. The number names the loan until it has ended.
    pub(crate) fn lend(&mut self, slot: u32, bytes: Vec<u8>) -> (u32, &[u8]) {
        let number = self.free.pop().unwrap_or_else(|| {
            self.loans.push(None);
            self.loans.len() as u32 - 1
        });
        let loan = self.loans[number as usize].insert(Loan { slot, bytes });
        (number, &loan.bytes)
    }

    /// The connection and the bytes of a loan that has not ended.
    pub(crate) fn known(&self, number: u32) -> (u32, &[u8]) {
        let loan = self.loans[number as usize].as_ref();
        let loan = loan.expect("the kernel names a loan until it has notified");
        (loan.slot, &loan.bytes)
    }

    /// The bytes come back.
    pub(crate) fn end(&mut self, number: u32) -> Vec<u8> {
        let loan = self.loans[number as usize].take();
        self.free.push(number);
        loan.expect("the kernel notifies once").bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loan_keeps_its_bytes_in_place_until_it_has_ended() {
        let mut loans = Loans::default();
        let (one, bytes) = loans.lend(7, b"one".to_vec());
        let place = bytes.as_ptr();
        let (two, _) = loans.lend(7, b"two".to_vec());
        assert_eq!(loans.end(two), b"two");
        for slot in 0..100 {
            loans.lend(slot, vec![0; 100]);
        }
        assert_eq!(loans.known(one), (7, &b"one"[..]));
        assert_eq!(loans.known(one).1.as_ptr(), place);
        assert_eq!(loans.end(one), b"one");
    }
}
