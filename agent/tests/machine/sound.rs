//! Sound, played for real into a file by ALSA.
