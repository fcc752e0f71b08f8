#include "text.h"

#include <stdlib.h>

uint8_t byte_classes[256];

void text_prepare(void) {
    for (int c = 0; c < 256; c++) {
        int classes = 0;
        bool digit = c >= '0' && c <= '9', capital = c >= 'A' && c <= 'Z', small = c >= 'a' && c <= 'z';
        if (digit)
            classes |= DIGIT;
        if (capital || small)
            classes |= LETTER;
        if (capital)
            classes |= UPPER;
        if (digit || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f'))
            classes |= HEXDIGIT;
        if (c == '_')
            classes |= UNDERSCORE;
        if (digit || capital || small || c == '.' || c == '_' || c == '%' || c == '+' || c == '-')
            classes |= LOCAL;
        if (digit || capital || small || c == '.' || c == '_' || c == '-')
            classes |= DOMAIN;
        if (digit || capital || small || c == '_' || c == '-')
            classes |= LABEL;
        byte_classes[c] = (uint8_t)classes;
    }
}

bool bytes_reserve(bytes *b, size_t more) {
    if (more > LARGEST || b->size > LARGEST - more)
        return false;
    size_t wanted = b->size + more;
    if (wanted <= b->room)
        return true;
    size_t room = b->room ? b->room : 4096;
    while (room < wanted)
        room *= 2;
    uint8_t *at = realloc(b->at, room);
    if (at == NULL)
        return false;
    b->at = at;
    b->room = room;
    return true;
}

bool bytes_add(bytes *b, const void *at, size_t size) {
    if (!bytes_reserve(b, size))
        return false;
    if (size > 0)
        memcpy(b->at + b->size, at, size);
    b->size += size;
    return true;
}
