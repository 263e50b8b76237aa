//! Nodes, cost, pending pods and evictions over time, as an SVG that reads on light and on dark paper.

use plotters::prelude::*;

use crate::report::Sample;

/// One line of each panel.
#[derive(Clone, Copy, Debug)]
pub struct Course<'a> {
    /// What it is called.
    pub name: &'a str,
    /// What it shows.
    pub samples: &'a [Sample],
}

/// A plot that could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("the plot cannot be drawn: {0}")]
pub struct PlotError(String);

const WIDTH: u32 = 960;
const PANEL: u32 = 220;
/// Between both kinds of paper; replaced by the reader's colour where the viewer knows it.
const INK: RGBColor = RGBColor(0x6f, 0x6f, 0x6f);
const GRID: RGBColor = RGBColor(0x9a, 0x9a, 0x9a);
/// Blue and orange: told apart by most eyes, on both kinds of paper (Okabe and Ito).
const LINES: [RGBColor; 2] = [RGBColor(0x00, 0x72, 0xb2), RGBColor(0xd5, 0x5e, 0x00)];
const STYLE: &str = "<style>[fill=\"#6F6F6F\"]{fill:#333}[stroke=\"#6F6F6F\"]{stroke:#333}\
    @media(prefers-color-scheme:dark){[fill=\"#6F6F6F\"]{fill:#ddd}[stroke=\"#6F6F6F\"]{stroke:#ddd}\
    [stroke=\"#0072B2\"]{stroke:#56b4e9}[stroke=\"#D55E00\"]{stroke:#e69f00}}</style>";

/// A panel: its title and what it shows of a sample.
type Panel = (&'static str, fn(&Sample) -> f64);

fn wide(number: u64) -> f64 {
    u32::try_from(number).map_or(f64::from(u32::MAX), f64::from)
}

const PANELS: [Panel; 4] = [
    ("nodes", |sample| wide(sample.nodes)),
    ("cost, dollars an hour", |sample| wide(sample.rate / 1000) / 1000.0),
    ("pods without a node", |sample| wide(sample.pending)),
    ("evictions until then", |sample| wide(sample.evictions)),
];

/// Draws one or two courses, one above the other by what they show.
pub fn svg(title: &str, courses: &[Course<'_>]) -> Result<String, PlotError> {
    let mut text = String::new();
    {
        let count = u32::try_from(PANELS.len()).unwrap_or(4);
        let area = SVGBackend::with_string(&mut text, (WIDTH, PANEL * count + 40)).into_drawing_area();
        let area = area.titled(title, ("sans-serif", 20).into_font().color(&INK)).map_err(said)?;
        for (panel, place) in PANELS.iter().zip(area.split_evenly((PANELS.len(), 1))) {
            draw(panel, &place, courses)?;
        }
        area.present().map_err(said)?;
    }
    // After the opening tag: what a viewer that knows no style shows is readable too.
    let head = text.find("<svg").and_then(|at| text.get(at..)?.find('>').map(|end| at + end + 1));
    if let Some(at) = head {
        text.insert_str(at, STYLE);
    }
    Ok(text)
}

fn said(error: impl std::fmt::Display) -> PlotError {
    PlotError(error.to_string())
}

fn draw(
    (title, value): &Panel,
    place: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    courses: &[Course<'_>],
) -> Result<(), PlotError> {
    let all = || courses.iter().flat_map(|course| course.samples);
    let hours = |sample: &Sample| wide(sample.at) / 3600.0;
    let last = all().map(hours).fold(1.0_f64, f64::max);
    let most = all().map(value).fold(1.0_f64, f64::max) * 1.05;
    let ink = || ("sans-serif", 13).into_font().color(&INK);
    let mut chart = ChartBuilder::on(place)
        .margin(8)
        .x_label_area_size(28)
        .y_label_area_size(56)
        .caption(title, ("sans-serif", 15).into_font().color(&INK))
        .build_cartesian_2d(0.0..last, 0.0..most)
        .map_err(said)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID.mix(0.35))
        .axis_style(INK)
        .label_style(ink())
        .x_label_formatter(&|hours| {
            if last > 72.0 { format!("{:.1} d", hours / 24.0) } else { format!("{hours:.0} h") }
        })
        .draw()
        .map_err(said)?;
    for (course, color) in courses.iter().zip(LINES) {
        let points = course.samples.iter().map(|sample| (hours(sample), value(sample)));
        let line = LineSeries::new(points, color.stroke_width(2));
        let drawn = chart.draw_series(line).map_err(said)?;
        drawn.label(course.name).legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .label_font(ink())
        .background_style(TRANSPARENT)
        .draw()
        .map_err(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: u64, nodes: u64) -> Sample {
        Sample { at, nodes, rate: nodes * 192_000, pending: 3, evictions: at / 100, requested: 1, offered: 2 }
    }

    #[test]
    fn both_policies_are_in_every_panel_and_the_colours_follow_the_reader() {
        let (first, second): (Vec<Sample>, Vec<Sample>) =
            (0..50).map(|at| (sample(at * 300, 10 + at % 7), sample(at * 300, 20))).unzip();
        let courses = [Course { name: "ours", samples: &first }, Course { name: "theirs", samples: &second }];
        let svg = svg("a day", &courses).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        assert!(svg.contains("prefers-color-scheme:dark"));
        for color in ["#0072B2", "#D55E00"] {
            assert!(
                svg.matches(&format!("<polyline fill=\"none\" opacity=\"1\" stroke=\"{color}\"")).count() >= 4,
                "{color}"
            );
        }
        for text in ["nodes", "dollars an hour", "pods without a node", "evictions", "ours", "theirs", "a day"] {
            assert!(svg.contains(text), "{text}");
        }
        // The text is drawn in the ink that the style replaces.
        assert!(svg.contains("fill=\"#6F6F6F\""));
    }

    #[test]
    fn nothing_to_show_is_no_error() {
        assert!(svg("empty", &[Course { name: "none", samples: &[] }]).is_ok());
    }
}
