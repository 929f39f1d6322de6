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
    pub(crate) bars: Vec<Bar>,
    /// What ours should reach, or stay under.
    pub(crate) target: Option<f64>,
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
const TOP: f64 = 46.0;
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
    },
    /// Both powers of ten.
    Logarithmic {
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
         aria-label=\"{title}\">\n<text class=\"title\" x=\"0\" y=\"14\">{title}</text>\n{}{bars}{}</svg>\n",
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
            TOP - 4.0,
            TOP - 8.0,
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
         <text class=\"goal\" x=\"{x:.1}\" y=\"14\" text-anchor=\"middle\">target {}</text>\n",
        18.0,
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
            true => Self::Logarithmic {
                least: power_of_ten((least * 0.7).log10().floor()),
                most: power_of_ten(most.log10().ceil()),
            },
            false => Self::Linear { most: if most > 0.0 { most } else { 1.0 } },
        })
    }

    fn is_logarithmic(&self) -> bool {
        matches!(self, Self::Logarithmic { .. })
    }

    fn place(&self, value: f64) -> f64 {
        let part = match self {
            Self::Linear { most } => value / most,
            Self::Logarithmic { least, most } => {
                (value.max(*least) / least).log10() / (most / least).log10()
            }
        };
        LEFT + part.clamp(0.0, 1.0) * (RIGHT - LEFT)
    }

    fn ticks(&self) -> Vec<f64> {
        match self {
            Self::Linear { most } => {
                let step = step(*most);
                (0..=(most / step) as u32).map(|number| f64::from(number) * step).collect()
            }
            Self::Logarithmic { least, most } => {
                let decades = (most / least).log10().round() as u32;
                (0..=decades).map(|decade| least * power_of_ten(f64::from(decade))).collect()
            }
        }
    }
}

fn power_of_ten(exponent: f64) -> f64 {
    10_f64.powf(exponent)
}

/// 1, 2 or 5 times a power of ten, so that there are between three and seven steps.
fn step(most: f64) -> f64 {
    let power = power_of_ten((most / 4.0).log10().floor());
    [1.0, 2.0, 5.0]
        .into_iter()
        .map(|times| times * power)
        .find(|step| most / step <= 7.0)
        .unwrap_or(power * 10.0)
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
        Chart { title: "rate".to_owned(), unit: quantity::rate, bars, target: None }
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
        let scale = Scale::Logarithmic { least: 10.0, most: 1000.0 };
        assert_eq!((scale.place(10.0), scale.place(1000.0)), (LEFT, RIGHT));
        assert_eq!(scale.place(100.0), (LEFT + RIGHT) / 2.0);
        assert_eq!(scale.place(0.0), LEFT);
        assert_eq!(Scale::Linear { most: 4.0 }.place(1.0), LEFT + (RIGHT - LEFT) / 4.0);
        assert_eq!(Scale::Linear { most: 4.0 }.place(-1.0), LEFT);
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(Scale::Linear { most: 10.0 }.ticks(), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(Scale::Linear { most: 3.1 }.ticks(), [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]);
        assert_eq!(Scale::Logarithmic { least: 10.0, most: 1000.0 }.ticks(), [10.0, 100.0, 1000.0]);
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
