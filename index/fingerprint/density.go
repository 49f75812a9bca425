package fingerprint

// perText is about how many windows of a short text are kept.
const perText = 18

// IndexWindow is the winnowing window for storing a text of so many symbols, of
// a source whose window is the given one. Windows nest, so a narrower one keeps
// all that the source's guarantee needs; it keeps more of a short text, so that
// an edited or halved copy still shares enough. Texts of 105 symbols and more
// have the source's window.
func IndexWindow(symbols, window int) int {
	if symbols < MinRecord {
		return window
	}
	return max(1, min(window, (symbols-K+perText/2)/(perText/2)-1))
}
