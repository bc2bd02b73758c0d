// What the sanitizers find inside Paho, which is not ours to mend: at the end it keeps one small
// block per broker address (about 500 bytes), and ThreadSanitizer cannot see the reference counts
// in its uninstrumented code.

extern "C" {
const char* __lsan_default_suppressions();
const char* __tsan_default_suppressions();

const char* __lsan_default_suppressions() { return "leak:libpaho-mqtt3as\n"; }
const char* __tsan_default_suppressions() { return "race:mqtt::async_client::remove_token\n"; }
}
