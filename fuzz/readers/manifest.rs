//! The manifest of a plugin, as the host takes it from the plugin's file.

use nashost_plugin_api::manifest::Manifest;

/// Reads a manifest; what was read must survive being written. Says whether it was taken.
pub(crate) fn read(data: &[u8]) -> bool {
    let Ok(manifest) = serde_json::from_slice::<Manifest>(data) else { return false };
    let text = serde_json::to_vec(&manifest).expect("a manifest can be written");
    assert_eq!(serde_json::from_slice::<Manifest>(&text).expect("and read again"), manifest);
    true
}

/// Manifests of plugins that exist.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let abouts = [
        include_str!("../../plugins/superres/manifest.json"),
        include_str!("../../plugins/deepmad/manifest.json"),
        include_str!("../../plugins/datasets/manifest.json"),
    ];
    let whole = |about: &str| {
        format!(
            r#"{{"schema":1,"abi_major":1,"sdk":"0.1.0","version":"0.1.0","arch":"x86_64","os":"linux","libtorch":null,"plugin":{about}}}"#
        )
    };
    abouts.map(|about| whole(about).into_bytes()).into()
}
