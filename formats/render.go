package formats

import (
	"encoding/hex"
	"math"
	"math/big"
	"strconv"
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

// bigEndian is the two's complement number that bytes are.
func bigEndian(b []byte) *big.Int {
	n := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return n
}

// float16Text is a number of 16 bits, little end first.
func float16Text(b []byte) string {
	if len(b) != 2 {
		return "NaN"
	}
	bits := uint16(b[1])<<8 | uint16(b[0])
	exp, frac := int(bits>>10&31), float64(bits&1023)
	v := 0.0
	switch exp {
	case 0:
		v = math.Ldexp(frac, -24)
	case 31:
		if v = math.Inf(1); frac != 0 {
			v = math.NaN()
		}
	default:
		v = math.Ldexp(1024+frac, exp-25)
	}
	if bits>>15 == 1 {
		v = -v
	}
	return strconv.FormatFloat(v, 'g', -1, 32)
}
