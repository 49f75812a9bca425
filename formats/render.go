package formats

import (
	"encoding/hex"
	"math/big"
	"strings"
	"time"
)

// The columns of binary formats have types that JSON lacks. Times are written as
// RFC 3339, without a zone where the file says none; numbers with every digit.

// timeText is a time as text. zoned says that it is one of UTC, not of some
// place's clock.
func timeText(t time.Time, zoned bool) string {
	if zoned {
		return t.UTC().Format("2006-01-02T15:04:05.999999999Z")
	}
	return t.UTC().Format("2006-01-02T15:04:05.999999999")
}

// time64 is the time that a count of units since 1970 is.
func time64(n int64, unit time.Duration) time.Time {
	per := int64(time.Second / unit)
	return time.Unix(n/per, n%per*int64(unit))
}

// inYears reports whether a time can be written as RFC 3339.
func inYears(t time.Time) bool {
	y := t.UTC().Year()
	return y >= 0 && y <= 9999
}

// uuidText is a UUID of 16 bytes as text.
func uuidText(b []byte) string {
	if len(b) != 16 {
		return hex.EncodeToString(b)
	}
	s := hex.EncodeToString(b)
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// decimalText is unscaled / 10^scale, with all digits.
func decimalText(unscaled *big.Int, scale int) string {
	digits := unscaled.String()
	if scale <= 0 || scale > 1000 {
		return digits
	}
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	if len(digits) <= scale {
		digits = strings.Repeat("0", scale-len(digits)+1) + digits
	}
	return sign + digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
}
