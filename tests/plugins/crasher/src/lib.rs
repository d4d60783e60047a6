//! A plugin that dies while it is being loaded, before anybody can check it.

// An empty registration set is enough: nobody gets that far.
nashost_plugin_api::export_plugin!(manifest: include_str!("../manifest.json"));

extern "C" fn crash() {
    // SAFETY: there is none. Writing through a null pointer is the point of this plugin.
    unsafe { std::ptr::null_mut::<u8>().write_volatile(1) }
}

#[used]
#[unsafe(link_section = ".init_array")]
static CRASH_ON_LOAD: extern "C" fn() = crash;
