package sse

import "unicode/utf8"

// AppendUTF8 appends src to dst with what is not UTF-8 replaced by U+FFFD, one
// for each maximal part of a broken sequence, as the UTF-8 decoder of a browser
// does (WHATWG Encoding, section 8.1.1). The standard library has no such rule:
// a conversion to runes makes one U+FFFD of each byte, bytes.ToValidUTF8 one of
// each run.
func AppendUTF8(dst, src []byte) []byte {
	if utf8.Valid(src) {
		return append(dst, src...)
	}
	for len(src) > 0 {
		n := validPrefix(src)
		dst = append(dst, src[:n]...)
		src = src[n:]
		if len(src) > 0 {
			dst = utf8.AppendRune(dst, utf8.RuneError)
			src = src[brokenPart(src):]
		}
	}
	return dst
}

func validPrefix(src []byte) int {
	n := 0
	for {
		r, size := utf8.DecodeRune(src[n:])
		if r == utf8.RuneError && size <= 1 { // broken, or the end
			return n
		}
		n += size
	}
}

// brokenPart is the length of the longest start of src that could have become a
// rune; FullRune is false for just those. At least one byte is consumed.
func brokenPart(src []byte) int {
	n := 1
	for n < len(src) && !utf8.FullRune(src[:n+1]) {
		n++
	}
	return n
}
