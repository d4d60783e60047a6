//! Label names of known MedMNIST sets.

use std::path::Path;

/// Known sets: name, labels, where the images come from. All are MedMNIST v2, CC BY 4.0.
const SETS: [(&str, &[&str], &str); 2] = [
    ("pneumoniamnist", &["pneumonia"], "after Kermany et al. 2018"),
    (
        "chestmnist",
        &[
            "atelectasis",
            "cardiomegaly",
            "effusion",
            "infiltration",
            "mass",
            "nodule",
            "pneumonia",
            "pneumothorax",
            "consolidation",
            "edema",
            "emphysema",
            "fibrosis",
            "pleural",
            "hernia",
        ],
        "after NIH ChestX-ray14 (Wang et al. 2017)",
    ),
];

/// The set that a file name such as `pneumoniamnist_64.npz` stands for.
fn set_of(path: &Path) -> Option<&'static (&'static str, &'static [&'static str], &'static str)> {
    let stem = path.file_stem()?.to_str()?.to_ascii_lowercase();
    let (name, size) = stem.split_once('_').unwrap_or((&stem, "28"));
    SETS.iter().find(|set| set.0 == name && size.parse::<u32>().is_ok())
}

/// Label names of a known set, if it has `labels` labels.
pub(super) fn of_file(path: &Path, labels: usize) -> Option<Vec<String>> {
    let (_, names, _) = set_of(path)?;
    (names.len() == labels).then(|| names.iter().map(|&name| name.to_owned()).collect())
}

/// Source and licence.
pub(super) fn source(path: &Path) -> String {
    match set_of(path) {
        Some((_, _, origin)) => format!("MedMNIST v2 (Yang et al. 2023), {origin}; CC BY 4.0"),
        None => "MedMNIST layout; source and licence not stated".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_by_file_name_and_size() {
        let names = |file: &str, labels| of_file(Path::new(file), labels);
        assert_eq!(names("a/pneumoniamnist.npz", 1).unwrap(), ["pneumonia"]);
        assert_eq!(names("PneumoniaMNIST_224.npz", 1).unwrap(), ["pneumonia"]);
        assert_eq!(names("chestmnist_28.npz", 14).unwrap()[13], "hernia");
        assert_eq!(names("chestmnist.npz", 13), None);
        assert_eq!(names("pneumoniamnist_mine.npz", 1), None);
        assert!(source(Path::new("pneumoniamnist.npz")).contains("CC BY 4.0"));
    }
}
