//! The page of a dataset before any training: counts, intensities, a contact sheet.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use maud::{Markup, html};

use crate::{
    page::{self, Images},
    plot::{self, Axis, Plot},
    section::Section,
    table::Table,
};

/// What the page of a dataset shows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Preview {
    /// Heading.
    pub title: String,
    /// Where the images come from, and what wrote the page.
    pub about: String,
    /// What to look at first; empty if nothing stands out.
    pub findings: Vec<String>,
    /// Tables of counts.
    pub tables: Vec<Table>,
    /// Intensities, of each part of the split.
    pub histograms: Vec<Histogram>,
    /// Some of the images.
    pub images: Vec<Contact>,
    /// Images that are nearly the same, in pairs.
    pub pairs: Vec<[Contact; 2]>,
}

/// How often each intensity occurs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Histogram {
    /// Name.
    pub name: String,
    /// Share of the pixels in each of equal intervals from black to white.
    pub shares: Vec<f64>,
}

/// A small image with a caption.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contact {
    /// A PNG file.
    pub png: Vec<u8>,
    /// What is known of it.
    pub caption: String,
}

impl Preview {
    /// Writes the page: one file that loads nothing and sends nothing. Images lie in it as `data:` addresses,
    /// which its content security policy allows, and no others. All texts are escaped.
    pub fn html(&self) -> String {
        let sections = [self.findings(), self.counts(), self.intensities(), self.contacts(), self.pairs()];
        let sections: Vec<Section> = sections.into_iter().flatten().collect();
        page::frame(&self.title, &self.about, &sections, Images::Inside)
    }

    fn findings(&self) -> Option<Section> {
        (!self.findings.is_empty()).then(|| Section {
            id: "findings",
            title: "What stands out",
            lead: "Worth a look before a training is paid for.".to_owned(),
            body: html! { ul.warnings { @for finding in &self.findings { li { (finding) } } } },
        })
    }

    fn counts(&self) -> Option<Section> {
        (!self.tables.is_empty()).then(|| Section {
            id: "counts",
            title: "Counts",
            lead: "Images, patients and findings of each part of the split.".to_owned(),
            body: html! { @for table in &self.tables { (table.markup()) } },
        })
    }

    fn intensities(&self) -> Option<Section> {
        let shares = || self.histograms.iter().flat_map(|histogram| &histogram.shares).copied();
        let (_, most) = plot::extent(shares())?;
        let caption = html! {
            "A peak at the left is background. Parts whose curves differ come from other devices or were exported \
             otherwise; a curve that keeps to the left is of images that do not use their range."
        };
        let mut plot = Plot::new(
            "Intensities",
            "Share of pixels by intensity, from black, 0, to white, 1, one line for each part.",
            Axis::share("intensity"),
            Axis::linear("share of pixels", 0.0, most),
        );
        for (index, histogram) in self.histograms.iter().enumerate() {
            let bins = histogram.shares.len() as f64;
            let points = histogram.shares.iter().enumerate();
            let points: Vec<_> = points.map(|(bin, share)| ((bin as f64 + 0.5) / bins, *share)).collect();
            plot.line(&plot::look(index), &points, &histogram.name);
        }
        let names = self.histograms.iter().enumerate();
        Some(Section {
            id: "intensities",
            title: "Intensities",
            lead: "Before normalisation, at the images' own size.".to_owned(),
            body: html! {
                (plot::key(names.map(|(index, histogram)| (plot::look(index), histogram.name.as_str()))))
                div.figures { (plot.figure(&caption)) }
            },
        })
    }

    fn contacts(&self) -> Option<Section> {
        (!self.images.is_empty()).then(|| Section {
            id: "images",
            title: "Contact sheet",
            lead: "Images from all over the dataset, as training gets them: squares, without their aspect. Look for \
                   other body parts, inverted ones, borders and burnt-in text."
                .to_owned(),
            body: html! { div.contacts { @for image in &self.images { (contact(image)) } } },
        })
    }

    fn pairs(&self) -> Option<Section> {
        (!self.pairs.is_empty()).then(|| Section {
            id: "pairs",
            title: "The same picture twice",
            lead: "Of different patients, and equal or nearly so: one picture with two names, or with two labels."
                .to_owned(),
            body: html! { @for pair in &self.pairs {
                div.contacts { @for image in pair { (contact(image)) } }
            } },
        })
    }
}

fn contact(image: &Contact) -> Markup {
    let address = format!("data:image/png;base64,{}", BASE64_STANDARD.encode(&image.png));
    html! { figure { img src=(address) alt=(image.caption) { } figcaption { (image.caption) } } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Cell, Column};

    fn preview() -> Preview {
        let image = |name: &str| Contact { png: vec![1, 2, 3], caption: format!("<b>{name}</b>") };
        Preview {
            title: "<script>t</script>".to_owned(),
            about: "by nashost".to_owned(),
            findings: vec!["<i>odd</i>".to_owned()],
            tables: vec![Table {
                id: "parts",
                title: "Parts".to_owned(),
                note: String::new(),
                columns: vec![Column { title: "Part".to_owned(), numeric: false }],
                rows: vec![vec![Cell::Text("train".to_owned())]],
            }],
            histograms: vec![Histogram { name: "train".to_owned(), shares: vec![0.75, 0.25] }],
            images: vec![image("one")],
            pairs: vec![[image("two"), image("three")]],
        }
    }

    #[test]
    fn everything_is_inside_and_nothing_else_may_be_loaded() {
        let page = preview().html();
        for id in ["findings", "counts", "intensities", "images", "pairs"] {
            assert!(page.contains(&format!("<section id=\"{id}\"")), "{id}");
        }
        assert_eq!(page.matches("src=\"data:image/png;base64,AQID\"").count(), 3);
        assert_eq!(page.matches("src=").count(), 3);
        assert!(page.contains("default-src 'none'; style-src 'sha256-") && page.contains("img-src data:;"));
        for bad in ["<script", "<b>", "<i>", "http://", "https://", "url(", " style=\"", "onerror"] {
            assert!(!page.contains(bad), "{bad}");
        }
    }

    #[test]
    fn what_is_not_there_has_no_section() {
        let page = Preview::default().html();
        assert!(page.contains("nothing to report") && !page.contains("<section"));
    }
}
