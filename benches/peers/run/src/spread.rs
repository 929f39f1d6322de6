//! Median and spread of a few runs.

use serde::Serialize;

/// What several runs of one thing say together. All in the unit of the values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    /// How many values there were, at least 1.
    pub(crate) count: usize,
    pub(crate) min: f64,
    /// Lower quartile.
    pub(crate) q1: f64,
    pub(crate) median: f64,
    /// Upper quartile.
    pub(crate) q3: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// The spread of these values; those that are no finite number are left out, and `None` when
    /// nothing is left.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        Some(Self {
            count: values.len(),
            min,
            q1: quantile(&values, 0.25),
            median: quantile(&values, 0.5),
            q3: quantile(&values, 0.75),
            max,
        })
    }
}

/// The quantile of sorted values by linear interpolation between neighbours, as R and NumPy do by
/// default. `sorted` is not empty.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let place = part * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_counts_have_a_middle() {
        let spread = Spread::of([5.0, 1.0, 4.0, 2.0, 3.0]).unwrap();
        assert_eq!(spread, Spread { count: 5, min: 1.0, q1: 2.0, median: 3.0, q3: 4.0, max: 5.0 });
    }

    #[test]
    fn even_counts_lie_between_two() {
        let spread = Spread::of([4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!((spread.q1, spread.median, spread.q3), (1.75, 2.5, 3.25));
    }

    #[test]
    fn one_is_its_own_spread_and_none_has_none() {
        let spread = Spread::of([7.0]).unwrap();
        assert_eq!((spread.min, spread.median, spread.max), (7.0, 7.0, 7.0));
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn what_is_no_number_is_left_out() {
        assert_eq!(Spread::of([f64::NAN, f64::INFINITY]), None);
        assert_eq!(Spread::of([f64::NAN, 2.0]).unwrap().count, 1);
    }
}
