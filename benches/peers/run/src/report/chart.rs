//! A bar for each peer, as inline SVG: median, spread from least to most, and the target.
//!
//! The scale is logarithmic where the peers are ten times apart, and says so.

use super::html::escaped;
use crate::spread::Spread;

/// A chart.
pub(crate) struct Chart {
    pub(crate) title: String,
    /// Writes a value down.
    pub(crate) unit: fn(f64) -> String,
    pub(crate) steps: Steps,
    pub(crate) bars: Vec<Bar>,
    /// What ours should reach, or stay under.
    pub(crate) target: Option<f64>,
}

/// What is round in a unit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Steps {
    /// Powers of ten, and twice and five times these.
    Decimal,
    /// Powers of two; of eight on a logarithmic scale.
    Binary,
}

/// A peer's bar.
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) ours: bool,
    /// The value, or why there is none.
    pub(crate) value: Result<Spread, String>,
}

const WIDTH: f64 = 760.0;
/// Where bars begin and end.
const LEFT: f64 = 110.0;
const RIGHT: f64 = 650.0;
/// Baselines of the title, of the target's name and of the scale; below it, bars begin.
const TITLE: f64 = 14.0;
const GOAL: f64 = 33.0;
const TICKS: f64 = 52.0;
const TOP: f64 = 60.0;
const ROW: f64 = 26.0;
const BAR: f64 = 16.0;
/// Characters of a reason that fit beside a label.
const REASON: usize = 80;
/// From which ratio on the scale is logarithmic.
const FAR_APART: f64 = 10.0;

/// Values to places on the drawing.
enum Scale {
    Linear {
        most: f64,
        steps: Steps,
    },
    /// From `base` to the power of `least` up to that of `most`.
    Logarithmic {
        base: f64,
        least: f64,
        most: f64,
    },
}

/// The chart as an `svg` element. Empty when no bar has a value.
pub(crate) fn render(chart: &Chart) -> String {
    let Some(scale) = Scale::of(chart) else { return String::new() };
    let height = TOP + ROW * chart.bars.len() as f64 + 8.0;
    let kind = if scale.is_logarithmic() { ", logarithmic scale" } else { "" };
    let title = escaped(&format!("{}{kind}", chart.title));
    let bars: String =
        chart.bars.iter().enumerate().map(|(row, bar)| draw(chart, &scale, row, bar)).collect();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"{title}\">\n<text class=\"title\" x=\"0\" y=\"{TITLE}\">{title}</text>\n{}{bars}{}</svg>\n",
        grid(chart, &scale, height),
        target(chart, &scale, height)
    )
}

fn grid(chart: &Chart, scale: &Scale, height: f64) -> String {
    let line = |value: f64| {
        let x = scale.place(value);
        format!(
            "<line class=\"grid\" x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{x:.1}\" y2=\"{height}\"/>\
             <text class=\"dim\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n",
            TICKS + 4.0,
            TICKS,
            escaped(&(chart.unit)(value))
        )
    };
    scale.ticks().into_iter().map(line).collect()
}

fn draw(chart: &Chart, scale: &Scale, row: usize, bar: &Bar) -> String {
    let top = TOP + ROW * row as f64 + (ROW - BAR) / 2.0;
    let base = top + BAR - 4.0;
    let label = escaped(&bar.label);
    let label =
        format!("<text x=\"{}\" y=\"{base:.1}\" text-anchor=\"end\">{label}</text>", LEFT - 8.0);
    let spread = match &bar.value {
        Ok(spread) => spread,
        Err(why) => {
            let why: String = why.chars().take(REASON).collect();
            let (x, why) = (LEFT + 4.0, escaped(&why));
            return format!(
                "<g>{label}<text class=\"dim\" x=\"{x}\" y=\"{base:.1}\">{why}</text></g>\n"
            );
        }
    };
    let (end, least, most) =
        (scale.place(spread.median), scale.place(spread.min), scale.place(spread.max));
    let (middle, class) = (top + BAR / 2.0, if bar.ours { "bar ours" } else { "bar" });
    format!(
        "<g>{label}<rect class=\"{class}\" x=\"{LEFT}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{BAR}\"/>\
         <line class=\"spread\" x1=\"{least:.1}\" y1=\"{middle:.1}\" x2=\"{most:.1}\" y2=\"{middle:.1}\"/>\
         <text x=\"{:.1}\" y=\"{base:.1}\">{}</text></g>\n",
        end - LEFT,
        most + 6.0,
        escaped(&(chart.unit)(spread.median))
    )
}

fn target(chart: &Chart, scale: &Scale, height: f64) -> String {
    let Some(target) = chart.target else { return String::new() };
    let x = scale.place(target);
    format!(
        "<line class=\"target\" x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{x:.1}\" y2=\"{height}\"/>\
         <text class=\"goal\" x=\"{x:.1}\" y=\"{GOAL}\" text-anchor=\"middle\">target {}</text>\n",
        GOAL + 4.0,
        escaped(&(chart.unit)(target))
    )
}

impl Scale {
    /// The scale on which all of a chart is seen; `None` when it has no value.
    fn of(chart: &Chart) -> Option<Self> {
        let spreads: Vec<&Spread> =
            chart.bars.iter().filter_map(|bar| bar.value.as_ref().ok()).collect();
        if spreads.is_empty() {
            return None;
        }
        let seen = |figure: fn(&Spread) -> f64| {
            spreads
                .iter()
                .map(move |spread| figure(spread))
                .chain(chart.target)
                .filter(|value| *value > 0.0)
        };
        let most = seen(|spread| spread.max).fold(0.0, f64::max);
        let least = seen(|spread| spread.min).fold(f64::INFINITY, f64::min);
        let medians = || spreads.iter().map(|spread| spread.median).filter(|median| *median > 0.0);
        let apart = medians().fold(0.0, f64::max) / medians().fold(f64::INFINITY, f64::min);
        Some(match apart >= FAR_APART {
            // A little below the least, so that its bar can be seen.
            true => {
                let base = chart.steps.base();
                let (least, most) = ((least * 0.7).log(base).floor(), most.log(base).ceil());
                Self::Logarithmic { base, least, most }
            }
            false => Self::Linear { most: if most > 0.0 { most } else { 1.0 }, steps: chart.steps },
        })
    }

    fn is_logarithmic(&self) -> bool {
        matches!(self, Self::Logarithmic { .. })
    }

    fn place(&self, value: f64) -> f64 {
        let part = match self {
            Self::Linear { most, .. } => value / most,
            Self::Logarithmic { .. } if value <= 0.0 => 0.0,
            Self::Logarithmic { base, least, most } => (value.log(*base) - least) / (most - least),
        };
        LEFT + part.clamp(0.0, 1.0) * (RIGHT - LEFT)
    }

    fn ticks(&self) -> Vec<f64> {
        match self {
            Self::Linear { most, steps } => {
                let step = steps.step(*most);
                (0..=(most / step) as u32).map(|number| f64::from(number) * step).collect()
            }
            Self::Logarithmic { base, least, most } => {
                (*least as i32..=*most as i32).map(|power| base.powi(power)).collect()
            }
        }
    }
}

impl Steps {
    /// What one step of a logarithmic scale multiplies by.
    fn base(self) -> f64 {
        match self {
            Self::Decimal => 10.0,
            Self::Binary => 8.0,
        }
    }

    /// A round step with which no more than seven reach `most`.
    fn step(self, most: f64) -> f64 {
        let least = most / 7.0;
        if self == Self::Binary {
            return least.log2().ceil().exp2();
        }
        let power = 10_f64.powi(least.log10().floor() as i32);
        let round = [1.0, 2.0, 5.0].map(|times| times * power);
        round.into_iter().find(|step| *step >= least).unwrap_or(power * 10.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantity;

    fn chart(values: &[f64]) -> Chart {
        let bar = |value: &f64| Bar {
            label: "p".to_owned(),
            ours: false,
            value: Spread::of([*value]).ok_or_else(|| "not available: <why>".to_owned()),
        };
        let bars = values.iter().map(bar).collect();
        Chart {
            title: "rate".to_owned(),
            unit: quantity::rate,
            steps: Steps::Decimal,
            bars,
            target: None,
        }
    }

    #[test]
    fn far_apart_is_logarithmic_and_says_so() {
        let near = render(&chart(&[100.0, 900.0]));
        assert!(!near.contains("logarithmic"));
        let far = render(&chart(&[100.0, 1000.0]));
        assert!(far.contains("rate, logarithmic scale"));
        assert!(far.contains(">10.0</text>") && far.contains(">1.00 k</text>"), "{far}");
    }

    #[test]
    fn places_follow_the_scale() {
        let scale = Scale::Logarithmic { base: 10.0, least: 1.0, most: 3.0 };
        for (value, place) in [(10.0, LEFT), (100.0, (LEFT + RIGHT) / 2.0), (1000.0, RIGHT)] {
            assert!((scale.place(value) - place).abs() < 1e-6, "{value}");
        }
        assert_eq!((scale.place(0.0), scale.place(-1.0)), (LEFT, LEFT));
        let scale = Scale::Linear { most: 4.0, steps: Steps::Decimal };
        assert_eq!((scale.place(1.0), scale.place(-1.0)), (LEFT + (RIGHT - LEFT) / 4.0, LEFT));
    }

    #[test]
    fn ticks_are_round() {
        let linear = |most, steps| Scale::Linear { most, steps }.ticks();
        assert_eq!(linear(10.0, Steps::Decimal), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(linear(3.1, Steps::Decimal), [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]);
        assert_eq!(linear(2048.0, Steps::Binary), [0.0, 512.0, 1024.0, 1536.0, 2048.0]);
        let decimal = Scale::Logarithmic { base: 10.0, least: 1.0, most: 3.0 };
        assert_eq!(decimal.ticks(), [10.0, 100.0, 1000.0]);
        let binary = Scale::Logarithmic { base: 8.0, least: 3.0, most: 5.0 };
        assert_eq!(binary.ticks(), [512.0, 4096.0, 32768.0]);
    }

    #[test]
    fn a_bar_without_a_value_has_its_reason() {
        let drawn = render(&chart(&[1.0, f64::NAN]));
        assert!(drawn.contains("not available: &lt;why&gt;"), "{drawn}");
        assert_eq!(drawn.matches("<rect").count(), 1);
        assert_eq!(render(&chart(&[f64::NAN])), "");
    }

    #[test]
    fn the_target_is_within_the_drawing() {
        let drawn = render(&Chart { target: Some(2000.0), ..chart(&[500.0]) });
        assert!(drawn.contains("target 2.00 k") && drawn.contains("x1=\"650.0\""), "{drawn}");
    }

    #[test]
    fn nothing_used_is_drawn_too() {
        assert!(render(&chart(&[0.0, 0.0])).contains("<rect"));
    }
}
