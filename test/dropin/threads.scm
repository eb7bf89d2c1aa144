;; For guile: threads, guardians and weak tables at once. Its argument says how much; prints what no collector may change.
(use-modules (ice-9 threads))
(define n (string->number (cadr (command-line))))
(define (tree d) (if (= d 0) '() (cons (tree (- d 1)) (tree (- d 1)))))
(define (leaves t) (if (null? t) 1 (+ (leaves (car t)) (leaves (cdr t)))))
(define kept (tree 15))

;; Each has a guardian and a weak table of its own; what comes back from the guardian must be whole.
(define (work k)
  (let ((guardian (make-guardian)) (table (make-weak-key-hash-table)) (keep '()))
    (let loop ((i 0) (sum 0))
      (let drain ((dead (guardian)))
        (when dead
          (unless (eqv? (car dead) (- (cdr dead) 1)) (error "damaged" dead))
          (drain (guardian))))
      (if (= i n)
          (begin
            (for-each (lambda (key) (unless (equal? (hashq-ref table key) (number->string (car key))) (error "lost" key)))
                      keep)
            (list k sum (length keep)))
          (let ((key (cons i (+ i 1))))
            (guardian key)
            (hashq-set! table key (number->string i))
            (when (zero? (modulo i 50)) (set! keep (cons key keep)))
            (when (zero? (modulo i 10)) (guardian (cons i (+ i 1))))
            (loop (+ i 1) (+ sum (leaves (tree (+ 4 (modulo i 4)))))))))))

(for-each (lambda (r) (write r) (newline))
          (map join-thread (map (lambda (k) (call-with-new-thread (lambda () (work k)))) '(1 2 3 4))))
(write (leaves kept))
(newline)
