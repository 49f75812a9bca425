filedesc://sample.arc 0.0.0.0 20240506070809 text/plain 68
1 0 By Hand
URL IP-address Archive-date Content-type Archive-length

urn:post:9007199254740993 192.0.2.1 20240506070809 text/html 116
HTTP/1.1 200 OK
Content-Type: text/plain

The kettle sings before the lamp is lit, and nobody in the house minds.
urn:post:9007199254740994 192.0.2.1 20240506070809 text/html 128
HTTP/1.1 200 OK
Content-Type: text/plain

Ο φάρος ανάβει κάθε βράδυ, λίγο πριν νυχτώσει.
urn:post:9007199254740995 192.0.2.1 20240506070809 text/html 126
HTTP/1.1 200 OK
Content-Type: text/plain

Старый мост скрипит, когда по нему идут двое.
urn:post:9007199254740996 192.0.2.1 20240506070809 text/html 126
HTTP/1.1 200 OK
Content-Type: text/plain

تفتح المكتبة أبوابها في الصباح الباكر كل يوم
urn:post:9007199254740997 192.0.2.1 20240506070809 text/html 139
HTTP/1.1 200 OK
Content-Type: text/plain

नदी के किनारे एक पुराना पेड़ खड़ा है
urn:post:9007199254740998 192.0.2.1 20240506070809 text/html 111
HTTP/1.1 200 OK
Content-Type: text/plain

แมวสีดำนอนอยู่บนหลังคา
urn:post:9007199254740999 192.0.2.1 20240506070809 text/html 111
HTTP/1.1 200 OK
Content-Type: text/plain

図書館の前に小さな池があり、冬には氷が張る。
urn:post:9007199254741000 192.0.2.1 20240506070809 text/html 91
HTTP/1.1 200 OK
Content-Type: text/plain

할머니는 매일 아침 마당을 쓸었다
urn:post:9007199254741001 192.0.2.1 20240506070809 text/html 117
HTTP/1.1 200 OK
Content-Type: text/plain

Two 🐈 sat, "quoted", by the door; one gap; a comma, and a back\slash.
urn:post:9007199254741002 192.0.2.1 20240506070809 text/html 107
HTTP/1.1 200 OK
Content-Type: text/plain

Zoë said: naïve café, 50 % off — <b>today</b> & tomorrow.
